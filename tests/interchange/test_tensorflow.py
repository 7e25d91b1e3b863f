"""Claims about importing the reference program's checkpoints."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from wavenet.audio.mulaw import decode, encode
from wavenet.errors import InputError
from wavenet.interchange.crc32c import crc32c
from wavenet.interchange.tensor_bundle import read_bundle
from wavenet.interchange.tensorflow import convert, read_reference, step_of
from wavenet.model.network import WaveNet


def data_file(prefix):
    return prefix.with_name(prefix.name + ".data-00000-of-00001")


def index_file(prefix):
    return prefix.with_name(prefix.name + ".index")


@pytest.fixture(scope="module")
def model(reference_prefix):
    config, arrays = read_reference(reference_prefix)
    model = WaveNet(config)
    model.load_arrays(arrays)
    return model


def test_the_imported_model_has_the_references_shape(model):
    assert sum(weight.numel() for weight in model.parameters()) == 1_618_528
    assert model.config.receptive_field == 5117
    assert model.config.num_conditions == 5


def test_the_imported_model_computes_the_references_logits(model, expected):
    levels = torch.from_numpy(expected["levels"].astype(np.int64))[None]
    with torch.inference_mode():
        logits = model(levels, torch.from_numpy(expected["condition"].reshape(1)))[0, :: int(expected["logits_stride"])]
    np.testing.assert_allclose(logits, expected["logits"], rtol=0, atol=5e-4)


def test_the_imported_model_computes_the_references_loss(model, expected):
    """Mean over every sample of the piece that follows a full receptive field."""
    levels = torch.from_numpy(expected["levels"].astype(np.int64))[None]
    with torch.inference_mode():
        logits = model(levels[:, :-1], torch.from_numpy(expected["condition"].reshape(1)))
        loss = F.cross_entropy(logits[0], levels[0, model.config.receptive_field :])
    assert abs(loss.item() - float(expected["loss"])) < 1e-5


def test_mu_law_is_the_references_exactly(expected):
    np.testing.assert_array_equal(encode(expected["waveform"]), expected["levels"])
    np.testing.assert_array_equal(encode(expected["mulaw_x"]), expected["mulaw_levels"])
    np.testing.assert_array_equal(decode(np.arange(256)), expected["mulaw_decode"])


def test_the_step_is_read_from_the_name(tmp_path):
    assert step_of(tmp_path / "model.ckpt-15000") == 15000
    assert step_of(tmp_path / "model.ckpt") == 0


def _bit_by_bit(data):
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def test_crc32c_gives_the_standards_check_value():
    assert crc32c(b"123456789") == 0xE3069283


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=700))
def test_crc32c_equals_the_definition_bit_by_bit(data):
    assert crc32c(data) == _bit_by_bit(data)


def test_a_missing_data_file_is_named(copied_prefix):
    data_file(copied_prefix).unlink()
    with pytest.raises(InputError, match="data-00000-of-00001 cannot be read: No such file"):
        read_bundle(copied_prefix)


def test_a_data_file_cut_short_is_told(copied_prefix):
    path = data_file(copied_prefix)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="is cut short: the variable"):
        read_bundle(copied_prefix)


def test_one_altered_bit_of_the_data_is_noticed(copied_prefix):
    content = bytearray(data_file(copied_prefix).read_bytes())
    content[3_000_000] ^= 1
    data_file(copied_prefix).write_bytes(content)
    with pytest.raises(InputError, match=r"damaged: the checksum of the variable 'wavenet/.*' is wrong"):
        read_bundle(copied_prefix)


@pytest.mark.parametrize("at", [10, 9_000, 17_900])
def test_one_altered_bit_of_the_index_is_noticed(copied_prefix, at):
    content = bytearray(index_file(copied_prefix).read_bytes())
    content[at] ^= 1
    index_file(copied_prefix).write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_bundle(copied_prefix)


@pytest.mark.parametrize("length", [0, 30, 10_000])
def test_an_index_cut_short_is_told(copied_prefix, length):
    path = index_file(copied_prefix)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match="not the index of a TensorFlow checkpoint, or it is cut short"):
        read_bundle(copied_prefix)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.pop("wavenet/causal_layer/filter"), "has no variable 'wavenet/causal_layer/filter'"),
        (lambda v: v.pop("wavenet/dilated_stack/layer7/skip"), "has no variable 'wavenet/dilated_stack/layer7/skip'"),
        (lambda v: v.pop("wavenet/dilated_stack/layer49/filter"), "a multiple of 10 layers .* found 49"),
        (
            lambda v: v.update({"wavenet/postprocessing/Variable": np.zeros(3, np.float32)}),
            r"'wavenet/postprocessing/Variable' must have shape \(512,\) \(-1: any\), found \(3,\)",
        ),
    ],
)
def test_what_is_not_a_wavenet_is_refused_by_the_variable(reference_prefix, change, words):
    variables = dict(read_bundle(reference_prefix))
    change(variables)
    with pytest.raises(InputError, match=words):
        convert(reference_prefix, variables)
