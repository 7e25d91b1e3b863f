"""Claims about loading, exporting and importing models, and about the public Python functions."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import wavenet
from wavenet.audio import mulaw
from wavenet.checkpoint import state
from wavenet.checkpoint.ledger import Owner
from wavenet.checkpoint.store import list_committed
from wavenet.errors import InputError, MismatchError, UsageError
from wavenet.generation.config import Weights
from wavenet.generation.generate import generate_levels
from wavenet.generation.streams import StreamRequest
from wavenet.interchange.export import export_checkpoint
from wavenet.interchange.load import import_checkpoint
from wavenet.model.config import ModelConfig
from wavenet.model.network import initial_arrays
from wavenet.run_paths import RunPaths

SMALL = ModelConfig(num_stacks=1, layers_per_stack=4, num_conditions=2)
OWNER = Owner("host", 1, 1)


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint of step 20 whose raw weights come from seed 1 and averaged ones from seed 2."""
    facts = {"step": 20, "model": SMALL.to_dict(), "sample_rate_hz": 8000, "classes": ["rock", "metal"]}
    path = tmp_path / "step-00000020"
    state.write_checkpoint(path, facts, {"weights": initial_arrays(SMALL, 1), "ema": initial_arrays(SMALL, 2)})
    return path


def arrays(model):
    return model.network.to_arrays()


def assert_equal_arrays(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_importing_the_package_does_not_bring_torch():
    code = "import wavenet, sys; assert 'torch' not in sys.modules; assert callable(wavenet.load)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_checkpoint_is_loaded_with_its_averaged_weights_or_its_raw_ones(checkpoint):
    model = wavenet.load(str(checkpoint))
    assert (model.step, model.classes, model.sample_rate_hz, model.weights) == (20, ("rock", "metal"), 8000, "ema")
    assert_equal_arrays(arrays(model), initial_arrays(SMALL, 2))
    assert_equal_arrays(arrays(wavenet.load(checkpoint, weights="raw")), initial_arrays(SMALL, 1))
    with pytest.raises(UsageError, match="weights must be 'ema' or 'raw', got 'best'"):
        wavenet.load(checkpoint, weights="best")


def test_an_export_is_loaded_as_the_same_model(checkpoint, tmp_path):
    folder = export_checkpoint(checkpoint, tmp_path / "for 'others'")
    original, copy = wavenet.load(checkpoint), wavenet.load(folder)
    assert_equal_arrays(arrays(copy), arrays(original))
    for name in ("config", "classes", "sample_rate_hz", "step", "weights"):
        assert getattr(copy, name) == getattr(original, name)
    assert json.loads((folder / "config.json").read_bytes())["checkpoint_digest"] == state.digest_of(checkpoint)


def test_an_export_of_raw_weights_replaces_one_of_averaged_weights(checkpoint, tmp_path):
    for weights in (Weights.ema, Weights.raw):
        export_checkpoint(checkpoint, tmp_path / "out", weights)
    model = wavenet.load(tmp_path / "out")
    assert model.weights == "raw"
    assert_equal_arrays(arrays(model), initial_arrays(SMALL, 1))


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (lambda f: (f / "model.safetensors").unlink(), InputError, "must hold an exported model"),
        (lambda f: (f / "model.safetensors").write_bytes(b"short"), InputError, "must hold an exported model"),
        (lambda f: (f / "config.json").write_text("{"), InputError, "must hold an exported model"),
        (lambda f: (f / "config.json").write_text('{"format": 9}'), InputError, "has format 9"),
    ],
)
def test_a_damaged_export_is_refused_in_one_sentence(checkpoint, tmp_path, damage, error, words):
    folder = export_checkpoint(checkpoint, tmp_path / "out")
    damage(folder)
    with pytest.raises(error, match=words):
        wavenet.load(folder)


def test_an_export_whose_configuration_is_another_models_is_refused_by_the_array(checkpoint, tmp_path):
    folder = export_checkpoint(checkpoint, tmp_path / "out")
    config = json.loads((folder / "config.json").read_bytes())
    config["model"]["skip_channels"] = 5
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(MismatchError, match="another architecture: the weights' array 'skip_weight'"):
        wavenet.load(folder)


def test_what_is_no_model_is_told_what_would_be(tmp_path):
    with pytest.raises(InputError, match="is no model: name a checkpoint folder"):
        wavenet.load(tmp_path)


def test_logits_are_the_networks_and_their_number_follows_the_receptive_field(checkpoint):
    model = wavenet.load(checkpoint)
    levels = np.random.default_rng(0).integers(0, 256, 40).astype(np.uint8)
    logits = model.logits(levels, 1)
    assert logits.shape == (40 - model.receptive_field + 1, 256)
    assert logits.dtype == np.float32
    with torch.inference_mode():
        expected = model.network(torch.from_numpy(levels.astype(np.int64))[None], torch.tensor([1]))[0]
    np.testing.assert_array_equal(logits, expected)


@pytest.mark.parametrize(
    ("levels", "condition", "words"),
    [
        (np.zeros(3, int), 0, "at least 17"),
        (np.zeros((2, 40), int), 0, r"got shape \(2, 40\)"),
        (np.full(40, 256), 0, "integers from 0 to 255, got int64 from 256 to 256"),
        (np.zeros(40), 0, "got float64"),
        (np.zeros(40, int), 2, "class id from 0 to 1, got 2"),
        (np.zeros(40, int), None, "class id from 0 to 1, got None"),
    ],
)
def test_levels_or_conditions_that_cannot_be_are_refused(checkpoint, levels, condition, words):
    with pytest.raises(UsageError, match=words):
        wavenet.load(checkpoint).logits(levels, condition)


def test_generate_gives_the_samples_of_generation(checkpoint):
    model = wavenet.load(checkpoint)
    samples = wavenet.generate(model, conditions=[0, 1], num_samples=50, seed=7, temperature=0.9, top_k=100)
    assert samples.shape == (2, 50)
    assert samples.dtype == np.float32
    again = wavenet.generate(model, conditions=[0, 1], num_samples=50, seed=7, temperature=0.9, top_k=100)
    np.testing.assert_array_equal(samples, again)


def test_generate_goes_on_from_samples(checkpoint):
    model = wavenet.load(checkpoint)
    excerpt = np.random.default_rng(0).uniform(-0.5, 0.5, 100).astype(np.float32)
    samples = wavenet.generate(model, [0, 0], 30, seed=7, primings=[excerpt, None])
    streams = [StreamRequest(0, 7, 0, mulaw.encode(excerpt)), StreamRequest(0, 7, 1)]
    np.testing.assert_array_equal(samples, mulaw.decode(generate_levels(model.network, streams, 30)))
    with pytest.raises(UsageError, match="primings must name one per condition, 2, got 1"):
        wavenet.generate(model, [0, 0], 30, primings=[excerpt])


def test_generate_takes_a_variant_by_name(checkpoint):
    model = wavenet.load(checkpoint)
    samples = wavenet.generate(model, [0, 1], 30, seed=7, variant="torch")
    streams = [StreamRequest(0, 7, 0), StreamRequest(1, 7, 1)]
    np.testing.assert_array_equal(samples, mulaw.decode(generate_levels(model.network, streams, 30)))
    with pytest.raises(UsageError, match=r"variant must be one of auto, .* torch, .* got 'fast'"):
        wavenet.generate(model, [0], 30, variant="fast")
    with pytest.raises(UsageError, match=r"it is on the CPU: model.network.to\('cuda'\) moves it"):
        wavenet.generate(model, [0], 30, variant="cuda")


def test_an_imported_checkpoint_is_committed_with_weights_alone(reference_prefix, tmp_path):
    run = RunPaths(tmp_path / "imported")
    committed = import_checkpoint(reference_prefix, run, OWNER)
    assert list_committed(run) == [committed]
    assert committed.step == 50
    assert list(state.read_facts(committed.path)["files"]) == ["weights.safetensors"]
    model, original = wavenet.load(committed.path), wavenet.load(reference_prefix)
    assert_equal_arrays(arrays(model), arrays(original))
    assert model.weights == "raw"
    with pytest.raises(InputError, match="has a checkpoint of step 50 already"):
        import_checkpoint(reference_prefix, run, OWNER)


def test_an_export_can_be_imported(checkpoint, tmp_path):
    folder = export_checkpoint(checkpoint, tmp_path / "out")
    committed = import_checkpoint(folder, RunPaths(tmp_path / "imported"), OWNER)
    assert_equal_arrays(arrays(wavenet.load(committed.path)), initial_arrays(SMALL, 2))
