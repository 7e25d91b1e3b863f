"""What every part's tests share: disks that refuse, and the rule that a complete run leaves nothing out."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# CI has all that the tests need: there a skipped test is a claim that nobody checked.
IS_COMPLETE_RUN = os.environ.get("CI") == "true"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if IS_COMPLETE_RUN and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was left out, which CI=true does not allow: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def smallest_floats() -> Iterator[None]:
    """Take back what a training does to the numbers of its thread: its zeros are not everybody's, nor Hypothesis's."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


def _mount(folder: Path, options: str) -> None:
    folder.mkdir()
    _run_or_skip("mount", "-t", "tmpfs", "-o", options, "none", str(folder))


def _run_or_skip(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"a file system of its own cannot be had here: there is no {command[0]}")
    if done.returncode:
        pytest.skip(f"a file system of its own cannot be had here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB. Skips where mounting is forbidden (it takes root)."""
    folder = tmp_path / "small disk"
    _mount(folder, "size=1m")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk_of_few_files(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB that takes 24 files and folders."""
    folder = tmp_path / "disk of few files"
    _mount(folder, "size=1m,nr_inodes=25")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk_of_quota(tmp_path: Path) -> Iterator[Path]:
    """A folder to which a quota leaves 1 MiB of a file system of 256 MiB: Btrfs brings its own."""
    image, disk = tmp_path / "image", tmp_path / "disk of a quota"
    image.touch()
    os.truncate(image, 256 << 20)
    disk.mkdir()
    folder = disk / "home"
    _run_or_skip("mkfs.btrfs", "--quiet", str(image))
    _run_or_skip("mount", "-t", "btrfs", "-o", "loop", str(image), str(disk))
    try:
        for words in (["quota", "enable", disk], ["subvolume", "create", folder], ["qgroup", "limit", "1M", folder]):
            subprocess.run(["btrfs", *map(str, words)], check=True, stdout=subprocess.DEVNULL)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that may not be written to (root ignores permission bits, but not this)."""
    folder = tmp_path / "read-only disk"
    _mount(folder, "size=1m,ro")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from this checkout without an index."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment outside the checkout with the wheel installed; its dependencies are those of this environment.

    They come by a line in a .pth file. Such a folder's own .pth files are not read, so the editable install that lies
    in it cannot take the wheel's place.
    """
    environment = tmp_path_factory.mktemp("environment") / "with a space"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=120)
    site = next(environment.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    python = str(environment / "bin" / "python")
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(
        [*command, "--no-index", "--disable-pip-version-check", "--force-reinstall"], check=True, timeout=120
    )
    return environment


def _random_model(config, seed=0):
    import numpy as np

    from wavenet.model.network import WaveNet

    draws = np.random.default_rng(seed)
    model = WaveNet(config)
    shapes = {name: weight.shape for name, weight in model.named_parameters()}
    model.load_arrays({name: draws.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()})
    return model


@pytest.fixture(scope="session")
def random_model():
    """``random_model(config, seed=0)``: a network in which every weight, biases too, is random."""
    return _random_model


@pytest.fixture(scope="session")
def small_configs():
    """A hypothesis strategy of small networks of every kind."""
    from hypothesis import strategies as st

    from wavenet.model.config import Conditioning, ModelConfig

    @st.composite
    def configs(draw):
        conditioning = draw(st.sampled_from(Conditioning))
        sizes = {f"{kind}_channels": draw(st.integers(1, 6)) for kind in ("residual", "dilation", "skip", "condition")}
        return ModelConfig(
            num_levels=draw(st.integers(2, 17)),
            kernel_size=draw(st.sampled_from([2, 3])),
            num_stacks=draw(st.integers(1, 3)),
            layers_per_stack=draw(st.integers(1, 4)),
            conditioning=conditioning,
            num_conditions=0 if conditioning is Conditioning.none else draw(st.integers(1, 4)),
            **sizes,
        )

    return configs()


def _make_recording(path, *, seconds=3.0, rate=8000, channels=1, genre="Rock", year="1994", seed=0):
    """A tagged recording of noise of its own, in the format of its suffix; no tag where genre or year is empty."""
    import numpy as np
    import soundfile

    draws = np.random.default_rng([seed, *os.fsencode(path.name)])
    samples = draws.normal(0, 0.1, (round(seconds * rate), channels)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in {".m4a", ".wma", ".opus"}:
        _encode_by_ffmpeg(path, samples, rate)
    else:
        soundfile.write(os.fsencode(path), samples, rate)
    _tag(path, genre, year)
    return samples


def _encode_by_ffmpeg(path, samples, rate):
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", "-f", "f32le", "-ar", str(rate)]
    command += ["-ac", str(samples.shape[1]), "-i", "-", os.fspath(path)]
    subprocess.run(command, input=samples.tobytes(), check=True)


def _tag(path, genre, year):
    import mutagen
    from mutagen.id3 import TCON, TDRC

    file = mutagen.File(os.fspath(path))
    if file.tags is None:
        file.add_tags()
    keys = {"MP4": ("\xa9gen", "\xa9day"), "ASF": ("WM/Genre", "WM/Year")}.get(type(file).__name__, ("genre", "date"))
    for value, key, frame in ((genre, keys[0], TCON), (year, keys[1], TDRC)):
        if value and hasattr(file.tags, "getall"):
            file.tags.add(frame(encoding=3, text=value))
        elif value:
            file.tags[key] = [value] if isinstance(value, str) else value
    file.save()


@pytest.fixture(scope="session")
def make_recording():
    """``make_recording(path, seconds=, rate=, channels=, genre=, year=, seed=)``: writes one, returns its samples."""
    return _make_recording
