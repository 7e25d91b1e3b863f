"""From the text of a genre tag to a canonical genre, by a table that the user can extend."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

from wavenet.audio.names import display
from wavenet.errors import InputError

NO_GENRE: Final = "-"
"""Stands for the genre in a table's line whose texts have none."""

Words = tuple[str, ...]


def words_of(text: str) -> Words:
    """The words of ``text``: lower case, without accents and punctuation. "Hip-Hop/Rap" has three."""
    letters = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return tuple(re.findall(r"[^\W_]+", plain))


@dataclass(frozen=True)
class GenreTable:
    """Which words mean which genre; `NO_GENRE` for words that have none."""

    genres: Mapping[Words, str]

    def genre_of(self, text: str) -> str | None:
        """The genre of a tag's ``text``; `NO_GENRE` where the table says so, None where it says nothing.

        Of several texts that stand in the tag the one with most words wins, then the one that stands last.
        """
        words = words_of(text)
        longest = max(map(len, self.genres), default=0)
        for length in range(min(longest, len(words)), 0, -1):
            for start in range(len(words) - length, -1, -1):
                genre = self.genres.get(words[start : start + length])
                if genre is not None:
                    return genre
        return None

    def overridden_by(self, other: GenreTable) -> GenreTable:
        """Both tables in one; where both know a text, ``other`` wins."""
        return GenreTable(MappingProxyType({**self.genres, **other.genres}))


def names_table(names: Iterable[str]) -> GenreTable:
    """The table by which every genre's own name means it."""
    return GenreTable({words_of(name): name for name in names})


def default_table() -> GenreTable:
    """The table that comes with the program, ``genres.txt`` beside this file."""
    text = resources.files("wavenet.catalogue").joinpath("genres.txt").read_text(encoding="utf-8")
    return parse_table(text, "genres.txt")


def read_table(path: Path) -> GenreTable:
    """Read a user's table.

    Raises:
        InputError: the file is missing, or a line breaks a rule; the sentence names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"genres.table must be a readable text file, got '{display(path)}': {reason}") from error
    return parse_table(text, display(path))


def parse_table(text: str, name: str) -> GenreTable:
    """Parse a table's ``text``; ``name`` is what messages call it."""
    lines: dict[Words, int] = {}
    genres: dict[Words, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        content = line.split("#")[0].strip()
        if not content:
            continue
        genre, texts = _parse_line(content, f"{name}, line {number}")
        for words in texts:
            if genres.get(words, genre) != genre:
                raise InputError(
                    f"{name}, line {number}: {' '.join(words)!r} must mean one genre, "
                    f"but line {lines[words]} says {genres[words]!r} and this one {genre!r}"
                )
            genres[words], lines[words] = genre, number
    return GenreTable(MappingProxyType(genres))


def _parse_line(content: str, place: str) -> tuple[str, list[Words]]:
    genre, colon, texts = content.partition(":")
    if not colon:
        raise InputError(f"{place}: must read 'genre: text, text', got {content!r}")
    genre = genre.strip()
    if not words_of(genre) and genre != NO_GENRE:
        raise InputError(f"{place}: needs a genre before the colon, got {genre!r}; '-' stands for none")
    found = [words_of(text) for text in texts.split(",")]
    if not all(found):
        raise InputError(f"{place}: needs texts after the colon, separated by single commas, got {texts.strip()!r}")
    return genre, found
