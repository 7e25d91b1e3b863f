"""Claims about drawing by blocks: one can be recorded as a GPU does it, and repeated, and the levels are the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wavenet.generation.config import SamplingConfig
from wavenet.generation.drawing import Drawing, Repeated
from wavenet.generation.generate import condition_tensor, prime
from wavenet.generation.incremental import IncrementalNetwork
from wavenet.generation.queues import floats_per_stream
from wavenet.generation.streams import StreamRequest
from wavenet.generation.uniforms import Uniforms
from wavenet.model.config import ModelConfig

from .conditions import conditions
from .recorder import record

SMALL = ModelConfig(layers_per_stack=3, residual_channels=4, dilation_channels=4, skip_channels=8)
SAMPLINGS = [SamplingConfig(), SamplingConfig(temperature=0.7), SamplingConfig(top_k=5), SamplingConfig(top_p=0.8)]


def drawing_of(model, num_streams, sampling=SAMPLINGS[0], periods=1):
    condition = conditions(model.config, num_streams, np.random.default_rng(0))
    network = IncrementalNetwork(model, condition, num_streams)
    newest = torch.full((num_streams,), model.config.silence_level)
    return Drawing(network, newest, sampling, int(periods * network.period))


def levels_of(drawing, advance, num_samples):
    """(num_samples, B) levels, block by block."""
    num_streams = drawing.levels.shape[1]
    uniforms = Uniforms([StreamRequest(None, 7, stream) for stream in range(num_streams)], torch.device("cpu"))
    whole, blocks = len(drawing.levels), []
    for start in range(0, num_samples, whole):
        count = min(whole, num_samples - start)
        drawing.uniforms[:count] = uniforms.of(start, count)
        advance(count)
        blocks.append(drawing.levels[:count, :, 0].clone())
    return torch.cat(blocks)


@settings(max_examples=30, deadline=None)
@given(
    data=st.data(),
    num_streams=st.integers(1, 3),
    periods=st.integers(1, 2),
    num_samples=st.integers(1, 150),
    sampling=st.sampled_from(SAMPLINGS),
)
def test_a_repeated_recording_draws_what_every_step_by_itself_draws(
    data, num_streams, periods, num_samples, sampling, small_configs, random_model
):
    """Bit for bit, for every kind of network, up to a last block that is cut short."""
    model = random_model(data.draw(small_configs), 3)
    with torch.inference_mode():
        plain, recorded = (drawing_of(model, num_streams, sampling, periods) for _ in range(2))
        expected = levels_of(plain, plain.advance, num_samples)
        found = levels_of(recorded, Repeated(recorded, record).advance, num_samples)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_from_the_third_block_on_python_calls_no_network(random_model, monkeypatch):
    """The first is drawn, the second recorded: what is left for Python are the repetitions."""
    steps = []
    step = IncrementalNetwork.step
    monkeypatch.setattr(IncrementalNetwork, "step", lambda self, levels: steps.append(1) or step(self, levels))
    with torch.inference_mode():
        drawing = drawing_of(random_model(SMALL), 2)
        period = len(drawing.levels)
        levels_of(drawing, Repeated(drawing, record).advance, 10 * period)
    assert len(steps) == 2 * period


def test_a_block_that_is_no_multiple_of_the_period_is_refused(random_model):
    """Its repetition would meet the tensors of other samples."""
    model = random_model(SMALL)
    with torch.inference_mode(), pytest.raises(ValueError, match="multiple of 4 samples, got 6"):
        drawing_of(model, 1, periods=1.5)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_nothing_is_left_on_the_processor(sampling, random_model):
    """With torch's device that holds nothing in a GPU's place: whoever mixes devices is refused by it, too."""
    model = random_model(SMALL).to("meta")
    streams = [StreamRequest(0, 7, 0), StreamRequest(0, 7, 1, np.arange(20, dtype=np.uint8))]
    with torch.inference_mode():
        network = IncrementalNetwork(model, condition_tensor(model, [0, 0]).to("meta"), len(streams))
        drawing = Drawing(network, prime(network, model, streams), sampling, network.period)
        drawing.uniforms[:] = Uniforms(streams, torch.device("meta")).of(0, network.period)
        drawing.advance(network.period)
    assert drawing.levels.device.type == "meta"


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_the_memory_of_a_stream_is_known_before(kernel_size, random_model):
    """So that a batch fits a GPU; the network's own tensors say how much it was."""
    model = random_model(replace(SMALL, kernel_size=kernel_size))
    with torch.inference_mode():
        queues = drawing_of(model, 3)._network._queues
    taken = sum(tensor.numel() for queue in queues for tensor in (queue._bias, queue._ring, queue._past))
    assert taken == 3 * floats_per_stream(model.config)


@pytest.mark.parametrize("start", [0, 511, 2**40])
def test_uniforms_are_the_draws_of_the_streams(start):
    """Of several seeds, and of numbers that take more than 32 bits."""
    streams = [StreamRequest(None, seed, stream) for seed, stream in [(0, 0), (7, 1), (7, 2**41 + 3), (2**63, 5)]]
    found = Uniforms(streams, torch.device("cpu")).of(start, 20)
    assert found.shape == (20, 4, 1)
    for index, stream in enumerate(streams):
        np.testing.assert_array_equal(found[:, index, 0].numpy(), stream.draws(start, 20))
