"""Where a value comes from: schema, preset, profile, the run's frozen values, the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.cluster import ClusterConfig, Executor
from jobs.keys.compose import compose_keys, list_presets
from jobs.keys.structure import freeze, thaw
from jobs.verbs.generate_keys import GenerateKeys
from jobs.verbs.run import RunKeys
from jobs.verbs.train import TrainKeys
from wavenet.errors import InputError, UsageError
from wavenet.model.config import Conditioning, ModelConfig
from wavenet.training.config import Schedule, TrainingConfig


def compose(*words: str, **frozen: object) -> TrainKeys:
    return compose_keys("train", TrainKeys, ["run=x", *words], frozen)


def test_the_reference_preset_is_the_reference_program() -> None:
    """Shape and optimiser are those of tensorflow-wavenet's defaults with a global condition of 32 channels."""
    keys = compose("model=reference")
    model, training = keys.model, keys.training
    assert model.dilations == tuple(2**power for power in range(10)) * 5
    assert (model.residual_channels, model.dilation_channels, model.skip_channels) == (32, 32, 512)
    assert (model.receptive_field, model.condition_channels, model.num_levels) == (5117, 32, 256)
    assert (training.learning_rate, training.epsilon, training.schedule) == (1e-3, 1e-4, Schedule.constant)
    assert (training.gradient_clip, training.ema_decay, training.warmup_steps) == (0, 0, 0)
    assert (training.micro_batches, training.micro_batch_size, training.window_samples) == (2, 1, 100_000)
    assert training.checkpoint_every == 10


def test_the_music_preset_hears_half_a_second() -> None:
    """Its receptive field is long and it is wider than the reference."""
    model = compose("model=music").model
    assert model.receptive_field / 16_000 >= 0.5
    assert model.residual_channels > compose("model=reference").model.residual_channels


def test_a_key_of_a_preset_can_be_changed() -> None:
    """`model=reference model.skip_channels=128` is the reference with fewer skip channels, in either order."""
    for words in (["model=reference", "model.skip_channels=128"], ["model.skip_channels=128", "model=reference"]):
        keys = compose(*words)
        assert (keys.model.skip_channels, keys.model.residual_channels, keys.preset) == (128, 32, "reference")


@pytest.mark.parametrize(("verb", "schema"), [("generate", GenerateKeys), ("run", RunKeys)])
def test_a_gpu_that_no_job_would_have_is_missed_at_once(verb: str, schema: type) -> None:
    """Not by the tasks, when they have waited in the queue."""
    words = ["run=x", "generate.variant=cuda", *(["source=music"] if verb == "run" else [])]
    with pytest.raises(UsageError, match=r"the cluster's keys ask for none: set cluster\.gpus_per_node=1"):
        compose_keys(verb, schema, words)
    for asking in ("cluster.gpus_per_node=1", "cluster.gres=gpu:a100:1"):
        assert compose_keys(verb, schema, [*words, asking]).cluster.asks_for_gpus


def test_without_conditioning_there_are_no_conditions() -> None:
    """The number of conditions follows, it is not typed."""
    assert compose("model.conditioning=none").model.num_conditions == 0
    assert compose("model.conditioning=label").model.conditioning is Conditioning.label


@pytest.mark.parametrize("preset", list_presets())
def test_what_is_frozen_takes_the_place_of_the_preset(preset: str) -> None:
    """A run goes on with its own values; naming its preset again changes nothing; keys typed come on top."""
    first = compose(f"model={preset}", "training.log_every=7")
    frozen = {"preset": preset, "seed": 3, "model": thaw(first.model), "training": thaw(first.training)}
    for words in ([], [f"model={preset}"]):
        again = compose(*words, **frozen)
        assert (again.model, again.training, again.seed, again.preset) == (first.model, first.training, 3, preset)
    assert compose("training.log_every=8", **frozen).training.log_every == 8


def test_another_preset_on_top_of_a_run_counts() -> None:
    """Naming another preset is a wish to change, which the comparison with the run will then refuse."""
    frozen = {"preset": "tiny", "model": thaw(ModelConfig()), "training": thaw(TrainingConfig())}
    assert compose("model=reference", **frozen).model.num_stacks == 5


def test_a_run_of_another_version_is_told() -> None:
    """A key that this program does not know is not dropped in silence."""
    with pytest.raises(InputError, match=r"config\.yaml must hold what this version writes: .*momentum"):
        compose(preset="tiny", training={"momentum": 0.9})


def test_a_profile_may_be_a_file(tmp_path: Path) -> None:
    """A copy of slurm.yaml with a site's values is named by its path; keys of the command line win."""
    profile = tmp_path / "my, 'site'.yaml"
    profile.write_text("executor: slurm\npartition: preempt\ntime_limit_minutes: 30\n")
    cluster = compose(f"cluster={profile}", "cluster.time_limit_minutes=60").cluster
    assert (cluster.executor, cluster.partition, cluster.time_limit_minutes) == (Executor.slurm, "preempt", 60)


@pytest.mark.parametrize(
    "text", ["container: x.sif", "container: {image: x.sif}", "container: {image: x.sif, gpu: auto}"]
)
def test_a_profile_may_name_an_image(tmp_path: Path, text: str) -> None:
    """By itself, or with further fields of its group."""
    profile = tmp_path / "site.yaml"
    profile.write_text(f"executor: slurm\ntime_limit_minutes: 30\n{text}")
    assert compose(f"cluster={profile}").cluster.container.image == "x.sif"


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("partitio: x", UsageError, "has no field 'partitio'; did you mean 'partition'?"),
        ("memory_gb: lots", UsageError, "sets memory_gb: it must be a number, got 'lots'"),
        ("container: {imag: x}", UsageError, "has no field 'container.imag'; did you mean 'container.image'?"),
        ("container: {gpu: 3dfx}", UsageError, "sets container.gpu: it must be one of auto, nvidia, amd, none, got"),
        ("container: [x]", UsageError, "sets container: it must be fields of its own, got ['x']"),
        ("- a list", InputError, "must hold fields such as partition: gpu"),
        ("a: [", InputError, "must be YAML; it fails with: "),
    ],
)
def test_a_bad_profile_costs_one_sentence(tmp_path: Path, text: str, error: type[Exception], sentence: str) -> None:
    """The file, the field and the rule are named."""
    profile = tmp_path / "site.yaml"
    profile.write_text(text)
    with pytest.raises(error) as caught:
        compose(f"cluster={profile}")
    assert sentence in str(caught.value)
    assert str(profile) in str(caught.value)


def test_thawing_and_freezing_give_the_same_value() -> None:
    """Enums and tuples survive the way through a file of plain values."""
    for value in (TrainingConfig(checkpoint_steps=(3, 4)), ModelConfig(), ClusterConfig(setup=("module load x",))):
        assert freeze(type(value), thaw(value)) == value
