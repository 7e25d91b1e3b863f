"""Every recording is taken as the right class or has the first reason against it."""

import pytest

from wavenet.audio.clips import ClipsConfig
from wavenet.catalogue.genres import GenresConfig, make_classes
from wavenet.catalogue.recording import Recording
from wavenet.catalogue.selection import select
from wavenet.errors import InputError, UsageError


def recording(name, genre="Rock", year="1994", seconds=180.0, **more):
    texts = {"genre_tags": (genre,) if genre else (), "year_tags": (year,) if year else ()}
    return Recording(name, 1000, digest=more.pop("digest", name * 10), seconds=seconds, **texts, **more)


def outcome(*recordings, clips=None, **genres):
    selection = select(recordings, clips or ClipsConfig(), GenresConfig(**genres))
    return [(one.class_id, one.reason, one.detail) for one in selection.recordings], selection


@pytest.mark.parametrize(
    ("found", "reason", "detail"),
    [
        (recording("a"), "", ""),
        (recording("a", genre=""), "no genre tag", ""),
        (recording("a", genre="Jazz"), "another genre", "Jazz"),
        (recording("a", genre="Happy Hardcore"), "another genre", "Happy Hardcore"),
        (recording("a", year=""), "no year tag", ""),
        (recording("a", year="20199"), "no year from 1500 to 2100", "20199"),
        (recording("a", year="0"), "no year from 1500 to 2100", "0"),
        (recording("a", year="abc"), "no year from 1500 to 2100", "abc"),
        (recording("a", seconds=0), "unknown length", ""),
        (recording("a", seconds=119), "shorter than 120 s", "119.0 s"),
        (recording("a", genre="", reason="cut short", detail="x"), "cut short", "x"),
    ],
)
def test_the_first_reason_against_a_recording_is_kept(found, reason, detail):
    """What scanning objected to comes before what selecting objects to."""
    (row,), _ = outcome(found)
    assert row == (-1 if reason else 0, reason, detail)


def test_the_year_may_be_left_out():
    """Where classes are genres alone."""
    rows, _ = outcome(recording("a", year=""), recording("b", year="abc"), require_year=False)
    assert [row[0] for row in rows] == [0, 0]


def test_the_first_genre_tag_that_is_wanted_decides():
    """As in the class project, which took the first match."""
    found = Recording("a", 1, "d", 180.0, ("Jazz", "Metal", "Rock"), ("1994",))
    _, selection = outcome(found)
    assert selection.recordings[0].genre == "metal"


def test_class_ids_follow_the_order_of_the_names_and_leave_out_missing_genres():
    """A class without music is no class, and is reported."""
    rows, selection = outcome(recording("a"), recording("b", genre="Metal"), names=("rock", "hip", "metal"))
    assert [row[0] for row in rows] == [0, 1]
    assert [one.name for one in selection.classes] == ["rock", "metal"]
    assert selection.missing_genres == ("hip",)


def test_genre_and_year_make_the_class_projects_numbers():
    """Number of years times genre plus year; every pair has a class, whether there is music or not."""
    found = [recording("a", year="1970"), recording("b", genre="Metal", year="1990"), recording("c", year="1980")]
    rows, selection = outcome(*found, by_year=True)
    assert [one.name for one in selection.classes] == [
        *("metal 1970", "metal 1980", "metal 1990"),
        *("rock 1970", "rock 1980", "rock 1990"),
    ]
    assert [row[0] for row in rows] == [3 * 1 + 0, 3 * 0 + 2, 3 * 1 + 1]
    assert [one.id for one in make_classes(["x", "y"], [2000, 1990, 2000], by_year=True)] == [0, 1, 2, 3]


def test_the_genres_with_most_material_count_seconds_of_what_could_be_taken():
    """Unknown tags are genres of their own; too short and undated recordings do not count, copies count once."""
    found = [
        recording("a", genre="Jazz", seconds=200),
        recording("b", genre="Acid House", seconds=500),
        recording("c", genre="Rock", seconds=150),
        recording("d", genre="Classic Rock", seconds=150),
        recording("e", genre="Jazz", seconds=100),
        recording("f", genre="Jazz", seconds=900, year=""),
        recording("g", genre="Jazz", seconds=200, digest="a" * 10),
    ]
    rows, selection = outcome(*found, most_material=2)
    assert [one.name for one in selection.classes] == ["acid house", "rock"]
    assert [row[0] for row in rows] == [-1, 0, 1, 1, -1, -1, -1]


def test_the_same_content_is_taken_once():
    """The other is listed with the name of the first; two copies that are not taken keep their own reasons."""
    copies = [recording(name, digest="same") for name in ("x", "y", "z")]
    rows, _ = outcome(*copies, recording("u", genre="", digest="other"), recording("v", genre="", digest="other"))
    copy = (-1, "same content as another", "x")
    assert rows == [(0, "", ""), copy, copy, *[(-1, "no genre tag", "")] * 2]


def test_a_users_table_decides(tmp_path):
    """And a mistake in it is one sentence."""
    table = tmp_path / "my genres.txt"
    table.write_text("metal: rock\n", encoding="utf-8")
    _, selection = outcome(recording("a"), table=str(table))
    assert selection.recordings[0].genre == "metal"
    table.write_text("metal rock\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"my genres\.txt, line 1: must read"):
        outcome(recording("a"), table=str(table))


@pytest.mark.parametrize(
    "setting", [{"names": ()}, {"names": ("rock", "Rock")}, {"names": ("-",)}, {"most_material": -1}, {"names": ("",)}]
)
def test_a_setting_outside_its_range_is_named(setting):
    """The sentence names the key."""
    ((key, _),) = setting.items()
    with pytest.raises(UsageError, match=rf"genres\.{key} must"):
        GenresConfig(**setting)
