"""Runs on disk as training and generation leave them, and a real Chromium that opens what the report makes of them."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.checkpoint.store import commit
from wavenet.report.config import ReportConfig
from wavenet.report.page import write_report
from wavenet.run_paths import RunPaths

RATE = 16_000
GENRES = ("metal", "hip", "rock", "classical", "hardcore")
STARTED = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


class RunOnDisk:
    """Writes one part of a run at a time, so that a test leaves out or spoils the part it is about."""

    def __init__(self, root: Path) -> None:
        self.paths = RunPaths(root)
        root.mkdir(parents=True)

    def describe_data(self, names: tuple[str, ...] = GENRES) -> None:
        classes = [
            {"id": index, "name": name, "genre": name, "year": None, "num_recordings": 7 + 5 * index,
             "num_clips": 7 + 5 * index, "train_hours": 0.2 + 0.15 * index, "validation_hours": 0.03}
            for index, name in enumerate(names)
        ]  # fmt: skip
        not_taken = [{"reason": "no genre", "count": 3}, {"reason": "shorter than 120 s", "count": 12}]
        facts = {"format": 1, "digest": "ab" * 32, "sample_rate_hz": RATE, "classes": classes, "not_taken": not_taken}
        write_json(self.paths.data_facts, {**facts, "num_recordings_found": 100, "num_recordings_taken": 85})

    def train(self, ends: tuple[tuple[int, int, str, str], ...], num_steps: int, **facts: Any) -> None:
        """One attempt per (resumed step, last step, host, cause); an empty cause leaves the end unwritten."""
        random = np.random.default_rng(1)
        self.paths.history.mkdir(exist_ok=True)
        for attempt, (resumed, last, host, cause) in enumerate(ends, start=1):
            begin = STARTED + timedelta(minutes=4 * attempt)
            rows: list[dict[str, Any]] = [
                {"kind": "start", "attempt": attempt, "time": begin.isoformat(), "host": host, "pid": 1, "job_id": "12",
                 "restart_count": attempt - 1, "resumed_step": resumed, "num_steps": num_steps, "processes": 1,
                 "threads": 1, "fingerprint": "f", "accepted": [], "versions": {"torch": "2.13.0", "numpy": "2.4.6"},
                 "queue_seconds": 37.0 * (attempt - 1), "startup_seconds": 8.2, "age_seconds": 12.5, **facts},
                {"kind": "ready", "loading_seconds": 6.1},
            ]  # fmt: skip
            spent = {"steps": 0.0, "validation": 0.0, "commits": 0.0}
            for step in range(resumed + 1, last + 1):
                loss = 2.1 + 3.4 * float(np.exp(-step / (0.12 * num_steps))) + float(random.normal(0, 0.08))
                seconds = 0.11 + float(random.gamma(2, 0.008)) + (2.5 if step == resumed + 1 else 0)
                spent = {**spent, "steps": spent["steps"] + seconds}
                rows.append({"kind": "step", "step": step, "loss": loss, "seconds": seconds, "learning_rate": 1e-3,
                             "gradient_norm": 1.0, "spent": spent,
                             "time": (begin + timedelta(seconds=spent["steps"])).isoformat()})  # fmt: skip
                if step == resumed + 1:
                    rows[-1]["first_step_seconds"] = seconds + 0.4
                if step % 100 == 0:
                    spent = {**spent, "commits": spent["commits"] + 0.3}
                    stalls = {"count": step // 100, "p50": 0.21, "p99": 0.83, "interval": 300.0}
                    rows.append(
                        {"kind": "commit", "step": step, "stall_seconds": 0.3, "stalls": stalls, "spent": spent}
                    )
                if step % max(1, num_steps // 12) == 0:
                    per_class = {str(index): loss + 0.1 * index for index in range(len(GENRES))}
                    rows.append({"kind": "validation", "step": step, "loss": loss + 0.05, "per_class": per_class})
            if cause:
                end = (begin + timedelta(minutes=2)).isoformat()
                rows.append({"kind": "end", "cause": cause, "step": last, "time": end, "detail": ""})
            for row in rows:
                row.setdefault("time", begin.isoformat())
            text = "".join(json.dumps(row) + "\n" for row in rows)
            self.paths.attempt_history(attempt).write_text(text, encoding="utf-8")

    def checkpoint(self, *steps: int) -> None:
        ledger = Ledger.claim(self.paths, Owner("node01", 1, 1))
        for step in steps:
            weights = {"causal.weight": np.full((4, 3), step, np.float32)}
            facts = {"step": step, "position": step, "model": {}, "sample_rate_hz": RATE, "classes": list(GENRES)}
            commit(self.paths, ledger, facts, {"weights": weights, "ema": weights, "optimizer": weights})

    def generate(
        self, pairs: Any, name: Callable[[int], str] = GENRES.__getitem__, clips: int = 1, seconds: float = 2.0
    ):
        """Both primings of each (class, step) pair; the same few sounds under many names keep large runs cheap."""
        sounds = [self._sound(number, seconds) for number in range(4)]
        for (class_id, step), clip, is_continuation in itertools.product(pairs, range(clips), (False, True)):
            stem = self.paths.generated_stem(class_id, step, is_continuation=is_continuation, clip=clip)
            sound = sounds[(class_id + step + is_continuation) % len(sounds)]
            for suffix in (".wav", ".mp3"):
                os.link(sound.with_suffix(suffix), self.paths.generated / f"{stem}{suffix}")
            write_json(self.paths.generated / f"{stem}.json", {
                "format": 1, "request": "r", "class_id": class_id, "class_name": name(class_id), "step": step,
                "clip": clip, "priming": "continuation" if is_continuation else "silence",
                "join_seconds": seconds / 4 if is_continuation else None,
                "source": f"{name(class_id)}/a recording.flac" if is_continuation else None, "seconds": seconds,
                "sample_rate_hz": RATE, "seed": 7, "stream": 2 * class_id + is_continuation, "temperature": 1.0,
                "top_k": 0, "top_p": 1.0, "weights": "ema", "checkpoint_digest": "d", "wav": f"{stem}.wav",
                "mp3": f"{stem}.mp3", "seconds_taken": {"priming": 0.1, "sampling": 3.2, "encoding": 0.05},
                "num_streams": 10, "samples_per_second": 4100.0, "variant": "torch", "host": "node01",
                "time": STARTED.isoformat(),
            })  # fmt: skip

    def _sound(self, number: int, seconds: float) -> Path:
        path = self.paths.generated / f".sound-{number}-{seconds}.wav"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            time_axis = np.arange(int(seconds * RATE)) / RATE
            pitch = 110 * 2 ** (np.floor(time_axis * 4) * (number + 2) % 12 / 12)
            beat = np.exp(-6 * (time_axis * 4 % 1))
            tone = sum(np.sin(2 * np.pi * pitch * k * time_axis) / k for k in range(1, 9))
            noise = np.random.default_rng(number).normal(0, 0.2, len(time_axis)) * np.exp(-20 * (time_axis * 2 % 1))
            samples = np.clip(0.3 * beat * tone + noise, -1, 1)
            soundfile.write(path, samples, RATE)
            soundfile.write(path.with_suffix(".mp3"), samples, RATE, subtype="MPEG_LAYER_III")
        return path


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[[str], RunOnDisk]:
    """Make an empty run folder, in a folder whose name needs quoting everywhere."""
    return lambda name="rock": RunOnDisk(tmp_path / "runs & 'more' #1 100%" / name)


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> RunOnDisk:
    """Five genres × four checkpoints after three restarts; tests only read it, or write its report."""
    run = RunOnDisk(tmp_path_factory.mktemp("whole run") / "rock & roll")
    run.paths.config.write_text("model:\n  preset: tiny\nseed: 7\n", encoding="utf-8")
    run.describe_data()
    run.train(
        ((0, 300, "node01", "preemption"), (280, 620, "node02", "time limit"), (620, 900, "node02", ""),
         (840, 1200, "node07", "finished")),
        num_steps=1200,
    )  # fmt: skip
    run.checkpoint(20, 400, 800, 1200)
    run.generate(itertools.product(range(len(GENRES)), (20, 400, 800, 1200)), clips=2)
    return run


@pytest.fixture(scope="session")
def whole_report(whole_run: RunOnDisk) -> Path:
    """The folder of the whole run's report."""
    return write_report(whole_run.paths, ReportConfig()).parent


class Browser:
    """Headless Chromium, driven over the DevTools protocol by two pipes; collects every complaint of the page."""

    def __init__(self, executable: str, profile: Path) -> None:
        read_end, command_end = os.pipe()
        answer_end, write_end = os.pipe()
        self._send, self._answers, self._received = os.fdopen(command_end, "wb", buffering=0), answer_end, b""
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--disable-extensions", "--autoplay-policy=no-user-gesture-required",
                 f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]  # fmt: skip
        # Chromium reads commands from descriptor 3 and answers on 4. Both are first moved out of the other's way.
        shell = 'exec 13<&"$1" 14>&"$2"; exec 3<&13 4>&14 13<&- 14>&-; shift 2; exec "$@"'
        command = ["bash", "-c", shell, "bash", str(read_end), str(write_end), executable, *flags]
        self._process = subprocess.Popen(
            command, pass_fds=(read_end, write_end), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(read_end)
        os.close(write_end)
        self._number = 0
        self._session: str | None = None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and wait for its answer; events on the way are noted."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._send.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            part = os.read(self._answers, 1 << 16)
            assert part, "Chromium has gone"
            self._received += part
        content, _, self._received = self._received.partition(b"\0")
        message = json.loads(content)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.complaints.append(json.dumps(parameters["entry"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(parameters["args"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])

    def open(
        self, page: Path, width: int = 1280, height: int = 900, *, is_dark: bool = False, script: bool = True
    ) -> float:
        """Open ``page`` from disk; return the seconds until it was complete."""
        self.complaints.clear()
        self.requests.clear()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Page.navigate", url="about:blank")
        begin = time.monotonic()
        self.call("Page.navigate", url=page.absolute().as_uri())
        self.wait_for("document.readyState === 'complete' && location.protocol === 'file:'")
        return time.monotonic() - begin

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited if it is a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not self.evaluate(condition):
            assert time.monotonic() < deadline, f"never true: {condition}; complaints: {self.complaints}"
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """Press and release a key where the focus is."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        code = {"Enter": 13, " ": 32, "Tab": 9, "ArrowRight": 39}[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=text, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG, for a person to look at."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12_000), "scale": 1}
        image = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        path.write_bytes(base64.b64decode(image))

    def close(self) -> None:
        self._session = None
        self.call("Browser.close")
        self._process.wait(20)
        self._send.close()
        os.close(self._answers)


@pytest.fixture(scope="session")
def browser_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium here; `apt-get install chromium` brings one")
    browser = Browser(executable, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(browser_process: Browser) -> Browser:
    """One Chromium for all tests; each opens its own page in it."""
    return browser_process
