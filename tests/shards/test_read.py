"""Reading gives the right samples in threads, after a fork and in other processes, or one clear sentence."""

import json
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from wavenet.errors import InputError
from wavenet.shards.index import is_prepared, open_dataset


@pytest.fixture
def dataset(library):
    library.prepare(num_shards=3)
    return open_dataset(library.data)


def every_clip(dataset):
    return [dataset.read(clip, 0, clip.length).tobytes() for clip in dataset.train]


def test_any_stretch_of_a_clip_can_be_read(dataset):
    """It equals the same stretch of the whole, as 16-bit integers of its own."""
    clip = dataset.train[0]
    whole = dataset.read(clip, 0, clip.length)
    stretch = dataset.read(clip, 100, 250)
    assert stretch.dtype == np.int16
    assert np.array_equal(stretch, whole[100:250])
    stretch[:] = 0
    assert np.array_equal(dataset.read(clip, 100, 250), whole[100:250])
    assert dataset.read(clip, 7, 7).size == 0


@pytest.mark.parametrize(("first", "stop"), [(-1, 5), (5, 4), (0, 16_001)])
def test_nothing_beyond_a_clip_can_be_read(dataset, first, stop):
    """There lies another recording."""
    with pytest.raises(ValueError, match="must be within"):
        dataset.read(dataset.train[0], first, stop)


def test_threads_read_the_same(dataset):
    """While the maps are being made."""
    expected = every_clip(dataset)
    fresh = pickle.loads(pickle.dumps(dataset))
    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(lambda _: every_clip(fresh), range(16)))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_the_same(dataset, method):
    """Forked ones, and those that get the dataset sent."""
    expected = every_clip(dataset)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(every_clip, (dataset,)) == expected


def test_shards_can_be_read_by_any_hdf5_program(dataset, library):
    """Contiguous little-endian samples, and a table with a column for every fact of a clip."""
    with h5py.File(library.data / "shards" / "shard-00000.h5", "r") as file:
        assert file["samples"].dtype == np.dtype("<i2")
        assert file["samples"].chunks is None
        assert dict(file.attrs)["sample_rate_hz"] == 16_000
        sources = file["clips/source"].asstr()[()]
        assert list(sources) == ["a.wav", "a.wav", "d.ogg", "d.ogg"]
        assert list(file["clips/start"][()]) == [0, 16_000, 32_000, 48_000]


def test_a_folder_that_was_not_prepared_is_one_sentence(tmp_path):
    """It says which verb makes one."""
    with pytest.raises(InputError, match=r"found no index\.json in .*; run prepare"):
        open_dataset(tmp_path)
    assert not is_prepared(tmp_path, "any")


def test_a_shard_cut_short_is_named_with_its_sizes(dataset, library):
    """Before the first read, which would end the process."""
    path = library.data / "shards" / "shard-00001.h5"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(
        InputError, match=rf"shard-00001\.h5' must have {len(whole)} bytes, found {len(whole) - 100}; run"
    ):
        open_dataset(library.data)
    assert not is_prepared(library.data, dataset.facts()["request"])
    library.prepare(num_shards=3)
    assert path.read_bytes() == whole


def test_a_missing_shard_is_named(dataset, library):
    """And written anew by preparing again."""
    (library.data / "shards" / "shard-00002.h5").unlink()
    with pytest.raises(InputError, match=r"shard-00002\.h5' must be a shard, but it is missing"):
        open_dataset(library.data)
    library.prepare(num_shards=3)
    assert every_clip(open_dataset(library.data)) == every_clip(dataset)


def test_another_shard_under_the_same_name_is_refused(dataset, library):
    """Its digest tells, also where its size does not."""
    path = library.data / "shards" / "shard-00000.h5"
    digest = dataset.facts()["shards"][0]["digest"].encode()
    path.write_bytes(path.read_bytes().replace(digest, b"0" * 64))
    with pytest.raises(InputError, match=r"shard-00000\.h5' must be the shard that index\.json names"):
        open_dataset(library.data)


def test_garbage_of_the_right_size_is_refused(dataset, library):
    """As no shard."""
    path = library.data / "shards" / "shard-00000.h5"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(InputError, match=r"shard-00000\.h5' must be a shard: "):
        open_dataset(library.data)


def test_one_altered_bit_is_found_by_verifying(dataset, library):
    """Opening does not read all samples; verifying does."""
    dataset.verify()
    path = library.data / "shards" / "shard-00000.h5"
    content = bytearray(path.read_bytes())
    at = content.find(dataset.read(dataset.train[0], 0, 100).tobytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"shard-00000\.h5' must hold what prepare wrote"):
        open_dataset(library.data).verify()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 2}'])
def test_an_index_of_another_format_is_refused(dataset, library, content):
    """Empty, truncated, or of a later version."""
    (library.data / "index.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"index\.json' must (be a whole index|have format 1, found 2)"):
        open_dataset(library.data)


def test_the_index_is_json_for_everybody(dataset, library):
    """UTF-8, without numbers that only Python reads."""
    facts = json.loads((library.data / "index.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert facts == dataset.facts()
