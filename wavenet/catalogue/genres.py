"""Which genre a recording has, which genres are chosen, and which classes they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wavenet.catalogue.genre_table import NO_GENRE, GenreTable, default_table, names_table, read_table, words_of
from wavenet.errors import UsageError
from wavenet.settings import key


@dataclass(frozen=True)
class GenresConfig:
    """Which genres are taken and how they make classes.

    Raises:
        UsageError: no genre, or one named twice.
    """

    names: tuple[str, ...] = key(
        ("metal", "hip", "rock", "classical", "hardcore"), "genres taken, in the order of their class ids"
    )
    most_material: int = key(0, "if more than 0: take that many genres with most hours instead of names")
    table: str = key("", "file of lines 'genre: tag text, …' that extends the built-in")
    by_year: bool = key(False, "classes are genre × year instead of genre")
    require_year: bool = key(True, "take no recording without a valid year")

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))  # a configuration file brings a list
        words = [words_of(name) for name in self.names]
        if len(set(words)) < len(words):
            raise UsageError(f"genres.names must name every genre once, got {', '.join(self.names)}")
        if not all(words) or not (words or self.most_material):
            raise UsageError(f"genres.names must be names of genres, got {list(self.names)}")
        if self.most_material < 0:
            raise UsageError(f"genres.most_material must be at least 0, got {self.most_material}")

    @property
    def needs_year(self) -> bool:
        return self.require_year or self.by_year

    def load_table(self) -> GenreTable:
        """The built-in table, overridden by the chosen genres' own names and those by the user's table."""
        table = default_table()
        if not self.most_material:
            table = table.overridden_by(names_table(self.names))
        return table.overridden_by(read_table(Path(self.table))) if self.table else table


@dataclass(frozen=True)
class ClassOfMusic:
    """One value of the global condition: a genre, or a genre in a year (``year`` is None where years do not count)."""

    id: int
    genre: str
    year: int | None = None

    @property
    def name(self) -> str:
        return self.genre if self.year is None else f"{self.genre} {self.year}"


def genres_in(texts: Iterable[str], table: GenreTable) -> list[str]:
    """Genres of a recording's tags ``texts``, first tag first; an unknown text is a genre itself."""
    found = [table.genre_of(text) or " ".join(words_of(text)) for text in texts]
    return list(dict.fromkeys(genre for genre in found if genre and genre != NO_GENRE))


def most_material(seconds_by_genre: dict[str, float], number: int) -> tuple[str, ...]:
    """The ``number`` genres with most seconds, most first, by name where they are equal."""
    ranked = sorted(seconds_by_genre, key=lambda genre: (-seconds_by_genre[genre], genre))
    return tuple(ranked[:number])


def make_classes(genres: Sequence[str], years: Iterable[int], by_year: bool) -> tuple[ClassOfMusic, ...]:
    """The classes of ``genres``, whose order decides their ids.

    With ``by_year`` the id is ``num_years · genre + year``, both counted from 0, as in the class project's file names;
    so there is a class for every pair, also for one without a recording.
    """
    if not by_year:
        return tuple(ClassOfMusic(number, genre) for number, genre in enumerate(genres))
    pairs = [(genre, year) for genre in genres for year in sorted(set(years))]
    return tuple(ClassOfMusic(number, genre, year) for number, (genre, year) in enumerate(pairs))
