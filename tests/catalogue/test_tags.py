"""Genre and year are found in whatever form a file's tags have."""

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from mutagen.apev2 import APEv2
from mutagen.id3 import ID3, TCON, TDRC, TYER, ID3v1SaveOptions

from wavenet.audio.headers import read_header
from wavenet.catalogue.tags import read_tags, year_of


def tags_of(path):
    return read_tags(path, read_header(path))


@pytest.fixture
def mp3(tmp_path, make_recording):
    """An MP3 without any tag."""
    path = tmp_path / "a.mp3"
    make_recording(path, genre="", year="")
    ID3(path).delete(path)
    return path


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wma", ".wav", ".aiff"])
def test_every_format_has_its_own_form(tmp_path, make_recording, suffix):
    """ID3 in MP3, WAV and AIFF, Vorbis comments, MP4 atoms, ASF."""
    path = tmp_path / f"a{suffix}"
    make_recording(path, genre="Hip-Hop/Rap", year="1994-05-02", rate=16_000)
    assert tags_of(path) == (("Hip-Hop/Rap",), ("1994-05-02",))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("17", ["Rock"]),
        ("(17)", ["Rock"]),
        ("(17)Rock", ["Rock"]),
        ("(9)(32)", ["Metal", "Classical"]),
        ("(17)My Rock", ["Rock", "My Rock"]),
        ("Rock\0Metal", ["Rock", "Metal"]),
        ("Rock; Metal", ["Rock", "Metal"]),
        ("Rock / Pop", ["Rock", "Pop"]),
        ("Pop/Rock", ["Pop/Rock"]),
        ("129", ["Hardcore"]),
        ("<b>Rock</b>", ["<b>Rock</b>"]),
        ("\x1b[31mRock", [r"\x1b[31mRock"]),
        ("  ", []),
    ],
)
@pytest.mark.parametrize("version", [3, 4])
def test_id3_genres_are_named_whether_numbered_bracketed_or_several(mp3, text, names, version):
    """In both versions; nothing that a terminal would obey stays in them."""
    tags = ID3()
    tags.add(TCON(encoding=1, text=text))
    tags.add(TYER(encoding=1, text="1994") if version == 3 else TDRC(encoding=1, text="1994"))
    tags.save(mp3, v2_version=version, v23_sep=None, v1=ID3v1SaveOptions.REMOVE)
    assert tags_of(mp3) == (tuple(names), ("1994",))


def test_the_oldest_tags_hold_numbers(mp3):
    """ID3v1 alone: 128 bytes at the end, the genre as one byte."""
    content = b"TAG" + b"title".ljust(30, b"\0") + bytes(60) + b"1987" + bytes(30) + bytes([9])
    mp3.write_bytes(mp3.read_bytes() + content)
    assert tags_of(mp3) == (("Metal",), ("1987",))


def test_a_year_frame_of_version_3_counts(mp3):
    """TYER became TDRC."""
    tags = ID3()
    tags.add(TYER(encoding=0, text="1969"))
    tags.save(mp3, v2_version=3, v1=ID3v1SaveOptions.REMOVE)
    assert tags_of(mp3)[1] == ("1969",)


def test_an_mp3_may_have_ape_tags_alone(mp3):
    """Some programs wrote nothing else."""
    tags = APEv2()
    tags["Genre"], tags["Year"] = ["Rock", "Blues"], "1971"
    tags.save(mp3)
    assert tags_of(mp3) == (("Rock", "Blues"), ("1971",))


def test_a_wav_may_have_an_info_chunk_alone(tmp_path):
    """IGNR and ICRD are all that many programs write."""
    with soundfile.SoundFile(tmp_path / "a.wav", "w", 8000, 1) as file:
        file.write([0.1] * 8000)
        file.genre, file.date = "Metal", "1986"
    assert tags_of(tmp_path / "a.wav") == (("Metal",), ("1986",))


def test_several_comments_of_one_key_all_count(tmp_path, make_recording):
    """In the order of the file; doubles once."""
    path = tmp_path / "a.flac"
    make_recording(path, genre=["Rock", "17", "Progressive Rock"], year=["1973-03-01", "1973"])
    assert tags_of(path) == (("Rock", "Progressive Rock"), ("1973-03-01", "1973"))


def test_the_old_genre_atom_of_mp4_is_a_number(tmp_path, make_recording):
    """It counts from one: 33 is what ID3 numbers 32."""
    path = tmp_path / "a.m4a"
    make_recording(path, genre="a text to replace", year="1801")
    text = _atom(b"\xa9gen", _atom(b"data", bytes([0, 0, 0, 1, 0, 0, 0, 0]) + b"a text to replace"))
    number = _atom(b"gnre", _atom(b"data", bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 33])))
    content = path.read_bytes()
    assert text in content
    # Free space fills the place, so that no other atom moves.
    path.write_bytes(content.replace(text, number + _atom(b"free", bytes(len(text) - len(number) - 8))))
    assert tags_of(path)[0] == ("Classical",)


def _atom(name, content):
    return (8 + len(content)).to_bytes(4, "big") + name + content


def test_without_tags_there_are_no_texts(mp3):
    """Neither genre nor year."""
    assert tags_of(mp3) == ((), ())


@pytest.mark.parametrize(
    ("texts", "year"),
    [
        (["1994"], 1994),
        (["1994-05-02"], 1994),
        (["19940502"], 1994),
        (["02.05.1994"], 1994),
        (["1994-05-02T10:00:00Z"], 1994),
        (["(P) 1994 Somebody"], 1994),
        (["0", "1994"], 1994),
        (["1685"], 1685),
        (["0"], 0),
        (["20199"], 0),
        (["abc"], 0),
        (["94"], 0),
        (["0000-00-00"], 0),
        (["9999"], 0),
        ([""], 0),
        ([], 0),
    ],
)
def test_a_year_is_read_from_every_date_and_from_nothing_else(texts, year):
    """Absurd ones give none."""
    assert year_of(texts) == year


@given(st.lists(st.text()))
def test_any_text_is_a_year_in_range_or_none(texts):
    """No text is an error."""
    assert year_of(texts) == 0 or 1500 <= year_of(texts) <= 2100
