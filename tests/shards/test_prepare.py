"""From a folder of music to shards: complete or absent, whatever happens on the way."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from wavenet.audio.clips import ClipsConfig
from wavenet.audio.files import decode
from wavenet.audio.names import from_text
from wavenet.catalogue.genres import GenresConfig
from wavenet.catalogue.recording import read_catalogue
from wavenet.catalogue.split import SplitConfig
from wavenet.errors import InputError, StorageError
from wavenet.shards.index import build_index, is_prepared, open_dataset
from wavenet.shards.plan import read_plan
from wavenet.shards.write import write_share
from wavenet.world import World


def rows(library):
    return {from_text(one.path): one for one in read_catalogue(library.data / "catalogue.jsonl")}


def test_every_clip_is_the_recordings_own_stretch(library):
    """Sample for sample, in order, at the place that its row tells, and of the class that its tags tell."""
    library.prepare(num_workers=2)
    dataset = open_dataset(library.data)
    clips = dataset.train + dataset.validation
    assert len(clips) == 2 * 6
    for clip in clips:
        samples = decode(library.source / clip.source, 2.0)
        first = round(clip.offset_seconds * 16_000)
        assert np.array_equal(dataset.read(clip, 0, clip.length), samples[first : first + 16_000])
        assert clip.class_id == (0 if clip.source < "e" else 1)


@pytest.mark.parametrize("num_workers", [1, 2, 5])
def test_the_number_of_workers_changes_no_byte(library, num_workers, tmp_path):
    """They know nothing of each other, and what they write is the same."""
    library.prepare()
    once = library.content()
    shutil.rmtree(library.data)
    library.prepare(num_workers)
    assert library.content() == once


def test_preparing_again_does_nothing(library):
    """No shard is written again, and no byte changes."""
    plan = library.prepare()
    before = library.content()
    times = {path: path.stat().st_mtime_ns for path in library.data.glob("shards/*")}
    assert library.prepare().request == plan.request
    assert library.content() == before
    assert {path: path.stat().st_mtime_ns for path in library.data.glob("shards/*")} == times
    assert is_prepared(library.data, plan.request)


def test_moving_music_and_data_elsewhere_changes_nothing(library, tmp_path):
    """Paths are never identity."""
    plan = library.prepare()
    digest = open_dataset(library.data).digest
    library.source.rename(tmp_path / "moved music")
    library.data.rename(tmp_path / "moved data")
    moved = type(library)(tmp_path / "moved music", tmp_path / "moved data")
    assert is_prepared(moved.data, plan.request)
    assert moved.prepare().request == plan.request
    assert open_dataset(moved.data).digest == digest


def test_a_new_recording_is_added_to_the_users_folder(library, make_recording):
    """The folder is incomplete until its shards are written, and afterwards holds nothing of before."""
    former = library.prepare()
    make_recording(library.source / "g.wav", genre="Metal")
    plan = library.plan()
    assert not is_prepared(library.data, plan.request)
    with pytest.raises(InputError, match="found no index"):
        open_dataset(library.data)
    library.prepare()
    assert plan.request != former.request
    dataset = open_dataset(library.data)
    assert len(dataset.train + dataset.validation) == 2 * 7


def test_fewer_shards_than_before_leave_none_behind(library):
    """Nor what a killed worker left."""
    library.prepare()
    (library.data / "shards" / ".shard-00000.0123.tmp.h5").touch()
    library.prepare(num_shards=2)
    names = sorted(path.name for path in (library.data / "shards").iterdir())
    assert names == ["shard-00000.h5", "shard-00000.json", "shard-00001.h5", "shard-00001.json"]


def test_a_folder_made_from_other_music_is_refused(library, make_recording, tmp_path):
    """Nobody's shards are overwritten by a slip; the sentence says from what they were made."""
    library.prepare()
    before = library.content()
    make_recording(tmp_path / "other" / "z.wav", genre="Rock")
    with pytest.raises(InputError, match=r"'.*the data' was made from '.*my music', not from '.*other'"):
        type(library)(tmp_path / "other", library.data).plan()
    assert library.content() == before


def test_a_folder_of_something_else_is_refused(library):
    """Before anything is written into it."""
    library.data.mkdir()
    (library.data / "thesis.txt").touch()
    with pytest.raises(InputError, match=r"new or empty folder or one made by prepare, found 'thesis\.txt'"):
        library.plan()
    assert [path.name for path in library.data.iterdir()] == ["thesis.txt"]


def test_music_of_which_nothing_is_taken_is_one_sentence(library):
    """With every reason and its count; the list of files is there nevertheless."""
    with pytest.raises(InputError, match=r"found none in '.*my music': 6 × shorter than 120 s; '.*catalogue\.jsonl'"):
        library.plan(clips=ClipsConfig())
    assert {row.reason for row in rows(library).values()} == {"shorter than 120 s"}
    assert not (library.data / "plan.json").exists()


def test_recordings_that_fail_late_are_listed_and_the_rest_goes_on(library, make_recording):
    """Damaged in the middle, silent, cancelling, changed, gone: each with its reason, none ends the shard."""
    make_recording(library.source / "cut.mp3", seconds=4)
    whole = (library.source / "cut.mp3").read_bytes()
    (library.source / "cut.mp3").write_bytes(whole[: len(whole) // 3])
    noise = make_recording(library.source / "cancel.wav", channels=2)[:, 0]
    _rewrite(library.source / "cancel.wav", np.stack([noise, -noise], axis=1))
    make_recording(library.source / "half silent.wav")
    _rewrite(library.source / "half silent.wav", np.concatenate([noise[:7000], np.zeros(17_000)]))
    make_recording(library.source / "silent.wav")
    _rewrite(library.source / "silent.wav", np.zeros(24_000))
    make_recording(library.source / "changed.wav")
    make_recording(library.source / "gone.wav")
    library.plan()
    make_recording(library.source / "changed.wav", seed=1)
    (library.source / "gone.wav").unlink()
    write_share(library.data, World())
    facts = build_index(library.data)
    found = {name: row.reason for name, row in rows(library).items() if row.reason}
    assert found == {
        "cut.mp3": "cut short",
        "cancel.wav": "channels that cancel each other",
        "silent.wav": "silent",
        "changed.wav": "changed since it was catalogued",
        "gone.wav": "gone since it was catalogued",
    }
    assert rows(library)["half silent.wav"].detail == "silent: clip at 1 s"
    assert {one["reason"]: one["count"] for one in facts["not_taken"]} == dict.fromkeys(found.values(), 1)
    assert (facts["num_recordings_found"], facts["num_recordings_taken"]) == (12, 7)


def _rewrite(path, samples):
    """Other samples under the same tags: the ID3 chunk of a WAV stands behind them."""
    import mutagen

    tags = mutagen.File(path).tags
    soundfile.write(path, samples, 8000)
    tags.save(path)


def test_if_all_recordings_fail_late_the_reasons_are_one_sentence(library):
    """Instead of an index of nothing."""
    library.plan()
    shutil.rmtree(library.source)
    write_share(library.data, World())
    with pytest.raises(InputError, match=r"found none in .*: 6 × gone since it was catalogued"):
        build_index(library.data)
    assert not (library.data / "index.json").exists()


def test_the_index_tells_what_there_is(library):
    """Classes with recordings, clips and hours; missing genres; what was not taken."""
    (library.source / "cover.jpg").touch()
    library.prepare(genres=GenresConfig(names=("metal", "hip", "rock")))
    dataset = open_dataset(library.data)
    assert [(one.id, one.name, one.year, one.num_recordings, one.num_clips) for one in dataset.classes] == [
        (0, "metal", None, 2, 4),
        (1, "rock", None, 4, 8),
    ]
    for one in dataset.classes:
        assert one.train_hours > 0
        assert one.validation_hours > 0
        assert one.train_hours + one.validation_hours == pytest.approx(one.num_clips / 3600)
    facts = dataset.facts()
    assert facts["missing_genres"] == ["hip"]
    assert facts["not_taken"] == [{"reason": "not audio", "count": 1}]


def test_classes_may_be_genre_times_year(library):
    """With the ids of the class project, also for pairs without music."""
    library.prepare(genres=GenresConfig(names=("rock", "metal"), by_year=True))
    dataset = open_dataset(library.data)
    assert [(one.name, one.num_recordings) for one in dataset.classes][3:6] == [
        ("rock 1993", 1),
        ("rock 1994", 0),
        ("rock 1995", 0),
    ]
    assert len(dataset.classes) == 2 * 6
    assert {clip.source: clip.class_id for clip in dataset.train + dataset.validation}["f.flac"] == 6 * 1 + 5


def test_a_recording_is_wholly_on_one_side_of_the_split(library):
    """All its clips, and every class is on both sides."""
    library.prepare()
    dataset = open_dataset(library.data)
    train, validation = ({clip.recording_digest for clip in clips} for clips in (dataset.train, dataset.validation))
    assert not train & validation
    assert {clip.class_id for clip in dataset.train} == {clip.class_id for clip in dataset.validation} == {0, 1}
    assert {row.digest for row in rows(library).values() if row.is_validation} == validation


def test_the_split_looks_at_what_could_be_decoded(library, make_recording):
    """A recording that was to be held out and fails does not leave its class without validation."""
    share = SplitConfig(0.001)
    library.prepare(split=share)
    (held_out,) = {clip.source for clip in open_dataset(library.data).validation if clip.class_id == 1}
    library.plan(split=share, clips=ClipsConfig(seconds=1, min_recording_seconds=2))
    (library.source / held_out).unlink()
    make_recording(library.source / "new.wav", genre="Metal")
    library.prepare(split=share)
    assert {clip.class_id for clip in open_dataset(library.data).validation} == {0, 1}


def test_another_split_writes_no_shard_again(library):
    """Shards hold content; the split is in the index, and part of the data's digest."""
    library.prepare()
    digest = open_dataset(library.data).digest
    times = {path: path.stat().st_mtime_ns for path in library.data.glob("shards/*")}
    library.prepare(split=SplitConfig(0.9))
    assert {path: path.stat().st_mtime_ns for path in library.data.glob("shards/*")} == times
    assert open_dataset(library.data).digest != digest


def test_progress_counts_the_recordings_of_the_share(library):
    """Up to all of them, also those of shards that were done before."""
    told = []
    library.prepare(progress=lambda done, total: told.append((done, total)))
    assert told[0] == (0, 6)
    assert told[-1] == (6, 6)
    assert told == sorted(told)
    told.clear()
    write_share(library.data, World(1, 2), lambda done, total: told.append((done, total)))
    assert told[-1] == (2, 2)


def test_a_shard_that_is_missing_is_named(library):
    """With what to do."""
    library.plan(num_shards=3)
    write_share(library.data, World(0, 2))
    with pytest.raises(InputError, match=r"all 3 planned shards, but 1 are not written, shards/shard-00001\.h5 first"):
        build_index(library.data)


def test_a_worker_without_a_plan_says_so(tmp_path):
    """And one with a broken plan too."""
    with pytest.raises(InputError, match="found no plan in"):
        write_share(tmp_path, World())
    (tmp_path / "plan.json").write_text('{"format": 1, "source"', encoding="utf-8")
    with pytest.raises(InputError, match=r"plan\.json' must be a whole plan written by prepare"):
        read_plan(tmp_path)


def test_killed_workers_leave_nothing_half_visible(library):
    """At whatever moment the kill comes; the next one finishes their work, to the same bytes."""
    library.prepare()
    expected = library.content()
    code = "import sys; from pathlib import Path; from wavenet.shards.write import write_share as w; "
    code += "from wavenet.world import World; print('on', flush=True); w(Path(sys.argv[1]), World())"
    for delay in (0.0, 0.02, 0.05):
        shutil.rmtree(library.data)
        library.plan()
        with subprocess.Popen([sys.executable, "-c", code, library.data], stdout=subprocess.PIPE) as worker:
            assert worker.stdout.readline() == b"on\n"
            time.sleep(delay)
            os.kill(worker.pid, signal.SIGKILL)
        for path in (library.data / "shards").glob("shard-*.h5"):
            assert path.read_bytes() == expected[path.relative_to(library.data)]
        library.prepare()
        assert library.content() == expected


def test_a_full_disk_is_one_sentence_and_leaves_no_half_shard(library, small_disk):
    """With more room, the same command goes on."""
    full = type(library)(library.source, small_disk / "data")
    (small_disk / "ballast").write_bytes(bytes(850_000))
    with pytest.raises(StorageError, match=r"shard-0000\d\.h5'?: the disk is full"):
        full.prepare()
    assert not [path for path in (full.data / "shards").iterdir() if path.name.startswith(".")]
    (small_disk / "ballast").unlink()
    full.prepare()
    assert len(open_dataset(full.data).train) > 0


def test_a_disk_that_may_not_be_written_is_one_sentence(library, read_only_disk):
    """Before any music is decoded."""
    with pytest.raises(StorageError, match="the file system is read-only"):
        type(library)(library.source, read_only_disk / "data").plan()
