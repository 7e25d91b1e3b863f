"""The profiles for common shapes of site say only what differs, and every verb's dry run shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jobs.cli import main
from jobs.cluster import list_profiles, read_profile
from wavenet.errors import UsageError

SHAPES = {
    "free-partition": ["partition = preemptible"],
    "account-qos": ["account = research", "qos = normal"],
    "cancelling": ["partition = cancel"],
    "short-limits": ["time = 60", "signal_delay_s = 150"],
    "gpu-gres": ["gres = gpu:1"],
    "gpu-type": ["gres = gpu:a100:1"],
    "offline": ["setup = ['unset http_proxy", "'export PIP_NO_INDEX=1']"],
}


def test_the_shapes_are_all_there() -> None:
    """And each is tested."""
    assert set(list_profiles()) == {"local", "slurm", *SHAPES}


@pytest.mark.parametrize("name", SHAPES)
def test_a_dry_run_shows_what_differs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In the words of sbatch."""
    assert main(["train", "run=x", f"cluster={name}", "dry_run=true"]) == 0
    shown = capsys.readouterr().out
    assert all(words in shown for words in SHAPES[name])


@pytest.mark.parametrize("name", SHAPES)
def test_the_rest_is_the_general_profile(name: str) -> None:
    """A shape holds few fields, beside a comment on who needs it."""
    text = list_profiles()[name].read_text("utf-8")
    own = yaml.safe_load(text)
    assert own.pop("base") == "slurm"
    assert read_profile(name) == read_profile("slurm") | own
    assert 1 <= len(own) <= 4
    assert text.startswith(f"# cluster={name}: ")


def test_an_own_profile_may_build_on_one_of_ours(tmp_path: Path) -> None:
    """Its own fields win; a base that is not there is named."""
    path = tmp_path / "mysite.yaml"
    path.write_text("base: free-partition\naccount: lab\npartition: low\n", encoding="utf-8")
    assert read_profile(str(path)) == read_profile("free-partition") | {"account": "lab", "partition": "low"}
    path.write_text("base: free-partitoin\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"base of the cluster profile .* did you mean 'free-partition'\?"):
        read_profile(str(path))
