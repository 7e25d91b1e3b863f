"""Every name that a file system allows can be shown, and written down without loss."""

import json
import os

from hypothesis import given
from hypothesis import strategies as st

from wavenet.audio.names import display, from_text, printable, to_text

NAMES = st.binary(min_size=1).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@given(NAMES)
def test_a_name_survives_as_utf8_text(name):
    """Writing it into a JSON file in UTF-8 and reading it back gives the same bytes."""
    written = json.dumps(to_text(name), ensure_ascii=False).encode("utf-8")
    assert os.fsencode(from_text(json.loads(written))) == os.fsencode(name)


@given(NAMES)
def test_a_displayed_name_fits_on_one_line_of_any_terminal(name):
    """It has no control characters and is valid UTF-8."""
    assert display(name).isprintable()
    display(name).encode("utf-8")


def test_usual_names_are_shown_and_written_as_they_are():
    """Spaces, quotes, accents and other scripts need no escape."""
    name = """It's "Ænima" – 名前/01 a & b.mp3"""
    assert display(name) == to_text(name) == name


def test_escapes_show_what_was_there():
    """A newline, a byte that is not UTF-8 and a terminal's escape are told apart."""
    assert display(os.fsdecode(b"a\nb\xff.mp3")) == r"a\nb\xff.mp3"
    assert printable("\x1b[31mred") == r"\x1b[31mred"
