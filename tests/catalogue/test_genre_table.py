"""The text of a tag means the genre that a listener would expect."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavenet.catalogue.genre_table import NO_GENRE, default_table, names_table, parse_table, read_table, words_of
from wavenet.errors import InputError

TABLE = default_table()


@pytest.mark.parametrize(
    ("text", "genre"),
    [
        ("Metal", "metal"),
        ("HEAVY METAL", "metal"),
        ("Metalcore", "metal"),
        ("Nü-Metal", "metal"),
        ("Neoclassical Metal", "metal"),
        ("Rap Metal", "metal"),
        ("Hip-Hop/Rap", "hip"),
        ("hip hop", "hip"),
        ("HipHop", "hip"),
        ("Hardcore Rap", "hip"),
        ("Rock", "rock"),
        ("Classic Rock", "rock"),
        ("Rock & Roll", "rock"),
        ("Symphonic Rock", "rock"),
        ("AlternRock", "rock"),
        ("Punk Rock", "rock"),
        ("Pop/Rock", "rock"),
        ("Classical", "classical"),
        ("Contemporary Classical", "classical"),
        ("Chamber Music", "classical"),
        ("Hardcore", "hardcore"),
        ("Hardcore Punk", "hardcore"),
        ("Post-Hardcore", "hardcore"),
        ("Happy Hardcore", NO_GENRE),
        ("Trip-Hop", NO_GENRE),
        ("Jazz", None),
        ("Classic", None),
        ("Rockefeller", None),
        ("", None),
        ("!?", None),
    ],
)
def test_the_built_in_table_means_what_a_listener_means(text, genre):
    """Case, accents and punctuation do not count, whole words do, and the kind of music stands last."""
    assert TABLE.genre_of(text) == genre


@given(st.text())
def test_no_text_is_an_error(text):
    """Whatever a tag holds, it has a genre of the table, none, or is unknown."""
    assert TABLE.genre_of(text) in {None, NO_GENRE, "metal", "hip", "rock", "classical", "hardcore"}


@given(st.sampled_from([words for words, _ in TABLE.genres.items()]), st.sampled_from([" ", "-", " / ", "_", ", "]))
def test_every_entry_means_its_own_genre_however_it_is_written(words, separator):
    """No longer entry takes it over."""
    assert TABLE.genre_of(separator.join(words).upper()) == TABLE.genres[words]


def test_the_users_table_wins_over_the_built_in_one():
    """And what it does not mention stays."""
    table = TABLE.overridden_by(parse_table("jazz: jazz, bebop\nmetal: post-hardcore # as I hear it", "mine"))
    assert [table.genre_of(text) for text in ("Bebop", "Post-Hardcore", "Rock")] == ["jazz", "metal", "rock"]


def test_a_genre_without_entries_means_itself():
    """Naming a genre is enough to take it."""
    assert names_table(["Drum & Bass"]).genre_of("drum'n'bass") is None
    assert names_table(["Drum & Bass"]).genre_of("Liquid Drum & Bass") == "Drum & Bass"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rock: rock\njazz", r"mine, line 2: must read 'genre: text, text', got 'jazz'"),
        ("\n# x\n: rock", r"mine, line 3: needs a genre before the colon, got ''"),
        ("rock:", r"mine, line 1: needs texts after the colon"),
        ("rock: a,,b", r"mine, line 1: needs texts after the colon, separated by single commas, got 'a,,b'"),
        (
            "rock: punk\n\nmetal: Punk!",
            r"mine, line 3: 'punk' must mean one genre, but line 1 says 'rock' and this one",
        ),
    ],
)
def test_a_mistake_in_a_table_is_one_sentence_with_its_line(text, sentence):
    """It says what was found and what would be right."""
    with pytest.raises(InputError, match=sentence):
        parse_table(text, "mine")


def test_a_table_that_cannot_be_read_is_one_sentence(tmp_path):
    """Missing, a folder, or not text."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, reason in (("missing", os.strerror(2)), (".", os.strerror(21)), ("binary", "not UTF-8")):
        with pytest.raises(InputError, match=rf"genres\.table must be a readable text file, got .*{reason}"):
            read_table(tmp_path / name)


def test_words_are_compared_without_case_accents_and_punctuation():
    """Letters of every script stay."""
    assert words_of("Nü-Metal / «Шансон» 90's") == ("nu", "metal", "шансон", "90", "s")
