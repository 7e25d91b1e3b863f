"""What a job's Python is started with where the profile names an image, and what it sees of the machine."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.cluster import ClusterConfig
from jobs.container import Container, ContainerConfig, container_of
from jobs.container_check import check
from jobs.queue.batch import launcher
from wavenet.errors import InputError, UsageError


@dataclass(frozen=True)
class Order:
    """As a task's argument: paths lie anywhere in it."""

    data: Path
    names: tuple[str, ...] = ()


def binds(container: Container) -> list[str]:
    words = container.command()
    return [words[index + 1] for index, word in enumerate(words) if word == "--bind"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home with a space"
    home.mkdir()
    monkeypatch.chdir(home)
    return home


def made(folder: Path, *arguments: object, **options: object) -> Container:
    return container_of(ContainerConfig(image="wavenet.sif", **options), arguments, folder, has_gpus=False)


def test_every_path_of_a_task_is_seen_under_its_own_name(home: Path, tmp_path: Path) -> None:
    """Its run, the folder that the command was given in, and whatever its arguments name, however deep."""
    data, music = tmp_path / "data", tmp_path / "music"
    data.mkdir()
    music.mkdir()
    run = tmp_path / "runs" / "one"
    (run / "jobs" / "train-1").mkdir(parents=True)
    found = binds(made(run / "jobs" / "train-1", Order(data, (str(music), "no path")), 5, None))
    assert sorted(found) == sorted(map(str, (home, data, music, run)))


def test_what_a_link_leads_to_is_seen_as_well(home: Path, tmp_path: Path) -> None:
    """Homes are full of links to scratch file systems."""
    (tmp_path / "scratch").mkdir()
    (home / "data").symlink_to(tmp_path / "scratch")
    found = binds(made(home / "run" / "jobs" / "train-1", Order(home / "data")))
    assert sorted(found) == sorted(map(str, (home, tmp_path / "scratch")))


@pytest.mark.parametrize("name", ["../data", "linked", "~/../data"])
def test_a_path_is_seen_however_it_is_typed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """From where the user is, by a link there, or from the home folder; a word that names nothing is no path."""
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "data").mkdir()
    (home / "linked").symlink_to(tmp_path / "data")
    found = binds(made(home / "run" / "jobs" / "train-1", Order(home, (name, "../no data"))))
    assert sorted(found) == sorted(map(str, (home, tmp_path / "data")))


def test_nothing_is_laid_over_the_program(home: Path) -> None:
    """A folder above it would hide it; the look into the container says that it is not seen."""
    container = made(home / "jobs" / "train-1", Path("/"), Path("/opt"))
    assert sorted(binds(container)) == sorted(map(str, container.folders[:1]))
    assert Path("/opt") in container.folders


def test_a_name_that_no_runtime_can_bind_is_refused(home: Path) -> None:
    """Colons and commas part the runtimes' own lists."""
    (home / "a:b").mkdir()
    with pytest.raises(UsageError, match="colon or a comma"):
        made(home / "jobs" / "train-1", home / "a:b")


@pytest.mark.parametrize("bind", ["music", "/music:there", "/a,/b"])
def test_a_bind_is_two_absolute_paths(bind: str) -> None:
    """Or one."""
    with pytest.raises(UsageError, match=r"cluster\.container\.binds"):
        ContainerConfig(binds=(bind,))


def test_python_outside_is_not_python_inside(home: Path) -> None:
    """The launcher names the image's, and lets no variable through that is not named."""
    words = launcher(home / "jobs" / "train-1", made(home / "jobs" / "train-1"))
    assert shlex.split(words)[-1] == "/opt/wavenet/bin/python"
    assert "--export=ALL" not in words
    assert "PYTHONPATH" not in words


def test_on_one_machine_the_whole_command_is_started_in_the_image() -> None:
    """A profile that names one would otherwise be left unheard."""
    with pytest.raises(UsageError, match=r"jobs of a cluster.*apptainer exec"):
        ClusterConfig(container=ContainerConfig(image="x.sif"))


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``runtime(script)``: an apptainer that does what the script says."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")

    def write(script: str) -> None:
        program = tmp_path / "bin" / "apptainer"
        program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        program.chmod(0o755)

    return write


def container_with(image: Path) -> Container:
    return Container(ContainerConfig(image=str(image)), (), has_gpus=False)


def test_without_the_runtime_nothing_is_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the sentence says what to do where only the nodes have it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"not on this machine's PATH.*cluster\.container\.check=false"):
        check(container_with(tmp_path / "wavenet.sif"))


def test_a_missing_image_is_named(tmp_path: Path, runtime) -> None:
    """With what makes one."""
    runtime("exit 1")
    with pytest.raises(InputError, match=r"missing\.sif.*is not there"):
        check(container_with(tmp_path / "missing.sif"))


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ("the image's architecture (arm64) could not run on the host's (amd64)", "for arm64 processors"),
        ("stat /opt/wavenet/bin/python: no such file or directory", "has no /opt/wavenet/bin/python"),
        ("something else", "cannot be started with apptainer: FATAL: something else"),
    ],
)
def test_what_the_runtime_says_becomes_one_sentence(tmp_path: Path, runtime, says: str, sentence: str) -> None:
    """As Apptainer 1.4 words it; tests in tests/cluster hold that against the real one."""
    image = tmp_path / "wavenet.sif"
    image.touch()
    runtime(f'echo "FATAL: {says}" >&2; exit 255')
    with pytest.raises(InputError) as caught:
        check(container_with(image))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
