"""What is typed after the verb is read as meant, or refused in one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.keys.compose import compose_keys
from jobs.keys.overrides import unquote
from jobs.verbs.report import ReportKeys
from jobs.verbs.status import StatusKeys
from jobs.verbs.train import TrainKeys
from wavenet.errors import UsageError

# Arguments of a process hold any characters but NUL, and bytes that are no UTF-8 as lone surrogates.
ARGUMENTS = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=30)


@settings(max_examples=25, deadline=None)
@given(text=ARGUMENTS)
def test_a_text_arrives_as_it_was_typed(text: str) -> None:
    """Whatever characters mean to Hydra or to OmegaConf, a folder's name is a folder's name."""
    assert compose_keys("report", ReportKeys, [f"run={text}"]).run == unquote(text)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("trainig.num_steps=3", "`wavenet train` has no key 'trainig.num_steps'; did you mean 'training.num_steps'?"),
        ("training.num_step=3", "`wavenet train` has no key 'training.num_step'; did you mean 'training.num_steps'?"),
        ("num_steps=3", "`wavenet train` has no key 'num_steps'; did you mean 'training.num_steps'?"),
        ("zzz=3", "`wavenet train` has no key 'zzz'; valid: "),
        ("+run=3", "`wavenet train` has no key '+run'; did you mean 'run'?"),
        ("~run", "options are given as key=value, got '~run'; see `wavenet train --help`"),
        ("takeover", "options are given as key=value, got 'takeover'; did you mean takeover=...?"),
        ("--takeover=true", "keys have no dashes in front, got '--takeover=true'; write takeover=true"),
        ("training.num_steps=many", "training.num_steps must be a whole number, got 'many'"),
        ("training.num_steps=1.5", "training.num_steps must be a whole number, got '1.5'"),
        ("training.num_steps=1,2", "training.num_steps must be a whole number, got '1,2'"),
        ("training.num_steps=", "training.num_steps must be a whole number, got ''"),
        ("training.num_steps=${x}", "training.num_steps must be a whole number, got '${x}'"),
        ("training.learning_rate=fast", "training.learning_rate must be a number, got 'fast'"),
        ("training.recompute=maybe", "training.recompute must be true or false, got 'maybe'"),
        ("training.schedule=linear", "training.schedule must be one of constant, cosine, got 'linear'"),
        ("training.checkpoint_steps=7", "training.checkpoint_steps must be a list of whole numbers"),
        ("training=7", "training is a group of keys and takes no value; set one of its keys"),
        ("training.micro_batches=3", "training.micro_batches must be a power of two, got 3"),
        ("model=referense", "model=referense: there is no preset of that name; did you mean 'reference'?"),
        ("model.num_conditions=3", "model.num_conditions cannot be set, got '3': it is the number of classes"),
        ("cluster=lokal", "cluster=lokal: there is no profile of that name; did you mean 'local'?"),
        ("cluster.max_parallel=-1", "cluster.max_parallel must be at least 0, got -1"),
    ],
)
def test_a_slip_costs_one_sentence(word: str, sentence: str) -> None:
    """The sentence names the key, what was found, and what would be valid."""
    with pytest.raises(UsageError) as caught:
        compose_keys("train", TrainKeys, ["run=x", word])
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named_with_an_example() -> None:
    """Keys without a default say how they are given."""
    with pytest.raises(UsageError, match=r"`wavenet train` needs run=: .*for example run=first"):
        compose_keys("train", TrainKeys, [])


def test_the_last_of_two_equal_keys_counts() -> None:
    """So that a script can add its own words behind a user's."""
    keys = compose_keys("train", TrainKeys, ["run=x", "seed=1", "model=paper", "model=tiny", "seed=2"])
    assert (keys.seed, keys.preset) == (2, "tiny")


def test_flags_are_short_for_keys() -> None:
    """--json and --dry-run are what other programs call them."""
    assert compose_keys("status", StatusKeys, ["--json"]).json
    assert compose_keys("train", TrainKeys, ["run=x", "--dry-run"]).dry_run
