"""What is shown while something runs."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.terminal import Display, Follower, duration, fraction, plural


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_steps_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redrawn in place; other lines stay above it."""
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    display = Display()
    display.training("step 10 - loss = 5.432, (0.500 sec/step)", 20)
    display.training("committed checkpoint step-00000010", 20)
    shown = screen.getvalue()
    assert "step 10/20 (50 %) - loss = 5.432, (0.500 sec/step), 0:05 left" in shown
    assert shown.endswith("\r\x1b[Kcommitted checkpoint step-00000010\n")


def test_a_log_gets_the_lines_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts written for the reference program read them."""
    display = Display()
    line = "step 10 - loss = 5.432, (0.500 sec/step)"
    display.training(line, 20)
    assert capsys.readouterr().out == f"{line}\n"


def test_a_log_is_not_flooded(capsys: pytest.CaptureFixture[str]) -> None:
    """Of quick progress only the end."""
    progress = Display().progress("files")
    for done in range(1, 101):
        progress(done, 100)
    assert capsys.readouterr().out.splitlines() == ["files 100/100 (100 %)"]


@given(pieces=st.lists(st.binary(max_size=20), max_size=8))
def test_a_follower_gives_every_complete_line_once(
    pieces: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However the writer's bytes are cut."""
    path = tmp_path_factory.mktemp("log") / "log"
    follower = Follower(path)
    lines = follower.lines()
    for piece in pieces:
        with path.open("ab") as file:
            file.write(piece)
        lines += follower.lines()
    assert lines == [line.decode("utf-8", "replace") for line in b"".join(pieces).split(b"\n")[:-1]]


def test_times_and_counts_read_well() -> None:
    """As people write them."""
    assert (duration(5), duration(125), duration(3723)) == ("0:05", "2:05", "1:02:03")
    assert (fraction(1, 4), fraction(0, 0), plural(1, "clip"), plural(2, "clip")) == (
        "1/4 (25 %)",
        "0/0 (100 %)",
        "1 clip",
        "2 clips",
    )
