"""A run's configuration is frozen at its first start; what later starts may change is a table."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from jobs.keys.frozen import RunConfig, read_config, settle
from jobs.keys.schema import Change, change_table
from wavenet.errors import InputError, MismatchError, StorageError, UsageError
from wavenet.model.config import ModelConfig
from wavenet.run_paths import RunPaths
from wavenet.training.config import Schedule, TrainingConfig

FREE = {
    "training.hang_seconds",
    "training.hang_steps",
    "training.processes",
    "training.partner_seconds",
    "training.recompute",
    "training.log_every",
}
CONSTANT = TrainingConfig(schedule=Schedule.constant)
CONFIG = RunConfig("tiny", 0, "/some/data", "abc", ModelConfig(), CONSTANT)


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    run = RunPaths(tmp_path / "a run")
    settle(run, CONFIG, ())
    return run


def test_every_setting_is_in_the_table() -> None:
    """A new setting is free only by being named here: otherwise it would change runs unseen."""
    table = change_table(CONSTANT)
    assert {name for name, change in table.items() if change is Change.free} == FREE
    assert {f"training.{field.name}" for field in fields(TrainingConfig)} <= table.keys()


def test_the_number_of_steps_is_identity_where_the_schedule_depends_on_it() -> None:
    """Under a cosine another end would have changed the learning rate of every step before."""
    assert change_table(CONSTANT)["training.num_steps"] is Change.extendable
    assert change_table(TrainingConfig(schedule=Schedule.cosine))["training.num_steps"] is Change.identity


def test_the_same_configuration_again_changes_nothing(run: RunPaths) -> None:
    """Not a byte."""
    before = run.config.read_bytes()
    assert settle(run, CONFIG, ()) == ()
    assert run.config.read_bytes() == before


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (replace(CONFIG, seed=1), "seed"),
        (replace(CONFIG, data_digest="other"), "data"),
        (replace(CONFIG, model=ModelConfig(skip_channels=3)), "model.skip_channels"),
        (replace(CONFIG, training=replace(CONSTANT, learning_rate=1.0)), "training.learning_rate"),
    ],
)
def test_another_identity_is_refused_or_accepted_by_name(run: RunPaths, wanted: RunConfig, name: str) -> None:
    """Refused, the run is as it was and the sentence names key, old and new; accepted, the change is written down."""
    before = run.config.read_bytes()
    with pytest.raises(MismatchError, match=rf"began with {name}=.* run with {name}=.*accept=\[{name}\]"):
        settle(run, wanted, ())
    assert run.config.read_bytes() == before
    assert settle(run, wanted, (name,)) == (name,)
    config = read_config(run)
    assert config is not None
    assert [(one["key"], one["change"]) for one in config["changes"]] == [(name, "identity")]
    assert settle(run, wanted, ()) == (name,)


def test_extensions_are_recorded_and_last(run: RunPaths) -> None:
    """More steps need no permission, are written down, and hold for the next start too."""
    settle(run, replace(CONFIG, training=replace(CONSTANT, num_steps=9999)), ())
    config = read_config(run)
    assert config is not None
    assert config["training"]["num_steps"] == 9999
    assert [(one["key"], one["old"], one["new"]) for one in config["changes"]] == [("training.num_steps", 2500, 9999)]


def test_paths_are_never_identity(run: RunPaths) -> None:
    """The data folder may be moved, to a name of any bytes."""
    odd = "/music/\udce4 \n'"
    assert settle(run, replace(CONFIG, data=odd), ()) == ()
    config = read_config(run)
    assert config is not None
    assert (config["data"], config["changes"]) == (odd, [])


def test_accepting_an_unknown_key_is_refused(run: RunPaths) -> None:
    """A misspelt permission must not pass for one."""
    with pytest.raises(UsageError, match="got 'sed'; did you mean 'seed'"):
        settle(run, CONFIG, ("sed",))
    settle(run, CONFIG, ("numerics.torch",))


@pytest.mark.parametrize("text", ["format: 99", "format: 1", "just words", "a: [", "\x00"])
def test_a_file_that_is_no_configuration_is_named(run: RunPaths, text: str) -> None:
    """A damaged config.yaml is an error with its path, not a new run."""
    run.config.write_text(text)
    with pytest.raises(InputError, match=r"config\.yaml"):
        settle(run, CONFIG, ())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A run below a file is impossible for root too."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        settle(RunPaths(tmp_path / "file" / "run"), CONFIG, ())
