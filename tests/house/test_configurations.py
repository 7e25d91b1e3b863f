"""Every configuration that can be named can be composed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from jobs.cli import VERBS, Verb
from jobs.cluster import ClusterConfig, list_profiles
from jobs.keys.compose import compose_keys, list_presets
from jobs.keys.structure import Key, keys_of
from wavenet.errors import UsageError

ROOT = Path(__file__).parents[2]


def _required(keys: list[Key]) -> list[str]:
    values = {int: "1", float: "1.0", str: "some/folder"}
    return [f"{key.name}={values[key.type]}" for key in keys if key.is_required and not key.is_group]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_preset_and_every_profile_composes(verb: Verb) -> None:
    """Each verb takes each preset and each profile that it has keys for, and its values are frozen."""
    keys = list(keys_of(verb.schema()))
    names = {key.name for key in keys}
    presets = [f"model={name}" for name in list_presets()] if "model" in names else []
    profiles = [f"cluster={name}" for name in list_profiles()] if "cluster" in names else []
    for words in ([], *([choice] for choice in (*presets, *profiles))):
        value = compose_keys(verb.name, verb.schema(), [*words, *_required(keys)])
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, dataclasses.fields(value)[0].name, None)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_misspelt_key_is_refused_by_every_verb(verb: Verb) -> None:
    """No verb swallows a key that it does not know."""
    with pytest.raises(UsageError, match="nonsense"):
        compose_keys(verb.name, verb.schema(), [*_required(list(keys_of(verb.schema()))), "nonsense=1"])


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_key_says_what_it_means(verb: Verb) -> None:
    """`--help` has a line for each key: its meaning is declared with it."""
    mute = [key.name for key in keys_of(verb.schema()) if not key.is_group and not key.meaning]
    assert mute == []


def test_every_field_of_a_profile_is_documented() -> None:
    """The slurm profile names each field of a profile, with a comment above it or its group."""
    text = (ROOT / "slurm/profiles/slurm.yaml").read_text(encoding="utf-8")
    text += (ROOT / "slurm/profiles/local.yaml").read_text(encoding="utf-8")
    named = {line.split(":")[0] for line in text.splitlines() if line and not line.startswith(("#", " "))}
    assert {field.name for field in dataclasses.fields(ClusterConfig)} == named
    for paragraph in text.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if line.strip()]
        assert not lines or lines[0].startswith("#") or lines[0].startswith("executor:"), paragraph
