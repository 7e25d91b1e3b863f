"""The demo does what the README's first screen says."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

import pytest
import soundfile

# Whichever test comes first waits for the demo.
pytestmark = [pytest.mark.xdist_group("wheel"), pytest.mark.timeout(1500)]


def test_the_demo_ends_with_the_reports_path(demo: Any) -> None:
    """The last line is where to look, as a path and as a link."""
    last = demo.output.rstrip().splitlines()[-1]
    assert "index.html" in last
    link = re.search(r"file://(\S+)", last)
    assert link
    assert url2pathname(link[1]) == str(demo.run.report / "index.html")


def test_its_training_was_interrupted_and_went_on(demo: Any) -> None:
    """At least one restart happened for real and is marked in the report."""
    restarts = [line for line in demo.output.splitlines() if line.startswith("Restarting the service at")]
    assert restarts
    attempts = sorted(demo.run.history.glob("attempt-*.jsonl"))
    assert len(attempts) == len(restarts) + 1
    end = [json.loads(line) for line in attempts[-1].read_text("utf-8").splitlines()][-1]
    assert end["cause"] == "finished"


def test_it_generates_every_genre_from_several_checkpoints(demo: Any) -> None:
    """Five genres × at least two checkpoints of audio that decodes, has its length and is not silence."""
    facts = [json.loads(path.read_text("utf-8")) for path in sorted(demo.run.generated.glob("*.json"))]
    pairs = Counter((fact["class_id"], fact["step"]) for fact in facts)
    classes, steps = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    assert len(classes) == 5
    assert len(steps) >= 2
    assert set(pairs) == {(each, step) for each in classes for step in steps}
    for fact in facts:
        for kind in ("wav", "mp3"):
            samples, rate = soundfile.read(demo.run.generated / fact[kind])
            assert rate == fact["sample_rate_hz"]
            assert len(samples) / rate == pytest.approx(fact["seconds"], abs=0.15)


def test_its_report_plays_the_audio_it_shows(demo: Any) -> None:
    """Every audio file that the page names lies beside it."""
    page = (demo.run.report / "index.html").read_text("utf-8")
    named = set(re.findall(r'href="([^"]+\.mp3)"', page))
    assert len(named) == len(list(demo.run.generated.glob("*.mp3"))) >= 10
    assert all((demo.run.report / name).is_file() for name in named)


def _shape(line: str) -> str:
    """A line without its numbers, and without the folder and the machine that it happened on."""
    anywhere = re.sub(r" on \S+: ", " on it: ", re.sub(r"file://\S+", "file://", line))
    return re.sub(r"[\d.,:+-]*\d[\d.,:+TZ-]*", "#", anywhere).strip()


def test_its_output_is_what_the_readme_shows(demo: Any) -> None:
    """The README's lines come in this order with other numbers; an ellipsis stands for lines left out."""
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    block = readme.split("$ make demo\n")[1].split("```")[0]
    made_by_make = "making the environment"
    lines = [line for line in block.splitlines() if not line.startswith(made_by_make)]
    shown = [_shape(line) for line in lines if line.strip() not in ("", "…")]
    assert len(shown) > 10
    printed = iter([_shape(line) for line in demo.output.splitlines()])
    missing = [line for line in shown if line not in printed]
    assert missing == []
