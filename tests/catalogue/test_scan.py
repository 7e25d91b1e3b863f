"""Everything in a folder is looked at, in one order, and nothing is skipped in silence."""

import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wavenet.audio.names import from_text
from wavenet.catalogue.recording import Recording, read_catalogue, write_catalogue
from wavenet.catalogue.scan import scan
from wavenet.errors import InputError

NASTY_NAMES = [
    "a space.mp3",
    'it\'s "quoted".mp3',
    "new\nline.mp3",
    os.fsdecode(b"not utf-8 \xff.mp3"),
    "100%41.mp3",
    "<b>.mp3",
]


def reasons(source):
    return {from_text(one.path): one.reason for one in scan(source).recordings}


def test_every_file_is_listed_with_what_it_is(tmp_path, make_recording):
    """Music, covers, hidden files, empty ones, text in disguise, links to nowhere, and a pipe that nobody writes to."""
    make_recording(tmp_path / "album" / "good.mp3")
    make_recording(tmp_path / "album" / "half.ogg")
    whole = (tmp_path / "album" / "half.ogg").read_bytes()
    (tmp_path / "album" / "half.ogg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cover.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(1000))
    (tmp_path / "notes.txt").write_text("about", encoding="utf-8")
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.mp3").write_text("about " * 1000, encoding="utf-8")
    (tmp_path / "._good.mp3").write_bytes(b"resource fork")
    (tmp_path / ".trash").mkdir()
    (tmp_path / "nowhere.mp3").symlink_to("does not exist")
    os.mkfifo(tmp_path / "pipe.mp3")
    assert reasons(tmp_path) == {
        "._good.mp3": "hidden",
        ".trash": "hidden",
        "album/good.mp3": "",
        "album/half.ogg": "cut short",
        "cover.jpg": "not audio",
        "empty.mp3": "empty file",
        "notes.txt": "not audio",
        "nowhere.mp3": "cannot be reached",
        "pipe.mp3": "not a regular file",
        "text.mp3": "not readable as audio",
    }


def test_a_loop_of_links_ends(tmp_path, make_recording):
    """Each real folder is entered once, and the second way into it is listed."""
    make_recording(tmp_path / "music" / "a.wav")
    (tmp_path / "music" / "loop").symlink_to(tmp_path)
    (tmp_path / "twice").symlink_to(tmp_path / "music")
    again = "link to a folder that is walked anyway"
    assert reasons(tmp_path) == {"music/a.wav": "", "music/loop": again, "twice": again}


def test_music_behind_links_is_found(tmp_path, make_recording):
    """Libraries are made of them."""
    make_recording(tmp_path / "store" / "a.wav")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "album").symlink_to(tmp_path / "store")
    assert reasons(tmp_path / "source") == {"album/a.wav": ""}


def test_nasty_names_are_found_in_the_order_of_their_bytes(tmp_path, make_recording):
    """And stand in a table file that is valid UTF-8 without losing a byte."""
    make_recording(tmp_path / "plain.wav")
    source = tmp_path / "source"
    source.mkdir()
    for name in NASTY_NAMES:
        shutil.copy(tmp_path / "plain.wav", source / name)
    catalogue = scan(source)
    write_catalogue(tmp_path / "catalogue.jsonl", catalogue.recordings)
    assert read_catalogue(tmp_path / "catalogue.jsonl") == catalogue.recordings
    assert [from_text(one.path) for one in catalogue.recordings] == sorted(NASTY_NAMES, key=os.fsencode)
    assert all((source / from_text(one.path)).exists() and one.genre_tags == ("Rock",) for one in catalogue.recordings)


def test_a_row_knows_length_tags_and_digest(tmp_path, make_recording):
    """And HTML in a tag stays text."""
    make_recording(tmp_path / "a.flac", genre="<script>alert(1)</script>", seconds=2.5)
    (row,) = scan(tmp_path).recordings
    assert (row.seconds, row.genre_tags, row.year_tags) == (2.5, ("<script>alert(1)</script>",), ("1994",))
    assert row.size_bytes == (tmp_path / "a.flac").stat().st_size
    assert len(row.digest) == 64


def test_progress_counts_files(tmp_path, make_recording):
    """Up to all of them, others included."""
    make_recording(tmp_path / "a.wav")
    (tmp_path / "b.txt").touch()
    told = []
    scan(tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda path: None, "found nothing at"),
        (lambda path: path.touch(), "found a file at"),
        (lambda path: path.mkdir(), "found an empty folder at"),
    ],
    ids=["missing", "file", "empty"],
)
def test_a_source_that_is_no_folder_of_music_is_one_sentence(tmp_path, make, found):
    """Missing, a file, or empty."""
    make(tmp_path / "music")
    with pytest.raises(InputError, match=rf"source must .* {found} '.*music'"):
        scan(tmp_path / "music")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".m4a", ".wav", ".wma"])
def test_no_damage_to_a_file_ends_the_scan(tmp_path, make_recording, suffix, data):
    """Whatever is overwritten or cut off, tags included, the file gets its row."""
    path = tmp_path / f"a{suffix}"
    original = tmp_path.with_name("original") / path.name
    if not original.exists():
        make_recording(original, seconds=0.5)
    content = bytearray(original.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(content), 3000) - 1))
        damage = data.draw(st.binary(min_size=1, max_size=8))
        content[at : at + len(damage)] = damage
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    (row,) = scan(tmp_path).recordings
    assert row.path == path.name


def test_a_table_file_that_is_none_is_one_sentence(tmp_path):
    """Missing, or with a line that is no row."""
    (tmp_path / "bad").write_text('{"path": "a", "colour": 3}\n', encoding="utf-8")
    for name in ("missing", "bad"):
        with pytest.raises(InputError, match=rf"{name}' must be a catalogue written by prepare"):
            read_catalogue(tmp_path / name)


@given(
    st.lists(st.builds(Recording, path=st.text(st.characters(exclude_categories=["Cs"])), seconds=st.floats(0, 1e6)))
)
def test_a_table_file_keeps_every_row(tmp_path_factory, rows):
    """Also those whose texts hold what looks like line ends."""
    path = tmp_path_factory.mktemp("table") / "catalogue.jsonl"
    write_catalogue(path, rows)
    assert list(read_catalogue(path)) == rows
