"""What the README shows can be typed, and what it says is there is there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.cli import VERBS, main
from jobs.keys.compose import compose_keys, list_presets
from jobs.keys.structure import keys_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PROSE = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
SCHEMAS = {verb.name: verb.schema() for verb in VERBS}


def _commands() -> Iterator[str]:
    for language, text in FENCES:
        if language == "console":
            yield from (line[2:].split(" && ")[0] for line in text.splitlines() if line.startswith("$ "))


def test_the_ten_commands_are_those_that_are_typed_on_a_real_cluster() -> None:
    """They stand in slurm/README.md as well, from where tests/cluster/test_guide.py types them."""
    (ten,) = (text for _, text in FENCES if text.startswith("laptop$"))
    assert ten in (ROOT / "slurm/README.md").read_text(encoding="utf-8")


def _keys() -> set[str]:
    return {key.name for schema in SCHEMAS.values() for key in keys_of(schema)}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the profile that the README tells to copy."""
    shutil.copy(ROOT / "slurm/profiles/slurm.yaml", tmp_path / "mysite.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", [each for each in _commands() if each.startswith("wavenet ")])
def test_a_command_can_be_typed(command: str, place: Path) -> None:
    """Each `wavenet` line has a verb that exists, and keys and values that this verb takes, or shows the refusal."""
    _, verb, *words = shlex.split(command)
    if command in _refusals():
        return
    assert verb in SCHEMAS
    words = [word for word in words if word != "--json"]
    compose_keys(verb, SCHEMAS[verb], words)


def _refusals() -> dict[str, str]:
    """The commands that the README shows with their error."""
    shown = re.findall(r"^\$ (wavenet .*)\n(wavenet: .*)$", README, re.MULTILINE)
    return dict(shown)


@pytest.mark.parametrize(("command", "answer"), _refusals().items())
def test_a_refusal_reads_as_shown(command: str, answer: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence in the README is the sentence that is printed, and it is the only one."""
    assert main(shlex.split(command)[1:]) != 0
    assert capsys.readouterr().err == answer + "\n"


def test_every_make_target_shown_exists() -> None:
    """`make X` is something that make knows."""
    targets = set(re.findall(r"\bmake ([a-z]+)`", PROSE))
    targets |= {command.split()[1] for command in _commands() if command.startswith("make ")}
    assert targets
    for target in targets:
        asked = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert asked.returncode == 0, asked.stderr


def test_the_tree_is_the_tree() -> None:
    """The map on the first screen names every folder of the top level and of the library, and no other."""
    tree = next(text for _, text in FENCES if text.startswith("wavenet/"))
    named, top = set(), ""
    for line in tree.splitlines():
        name = line.split()[0]
        top = name if not line.startswith(" ") else top
        named.add(name if name == top else top + name)
    folders = {"wavenet", "jobs", "slurm", "containers", "tests"}
    packages = {f"wavenet/{path.parent.name}/" for path in (ROOT / "wavenet").glob("*/__init__.py")}
    assert named == {f"{folder}/" for folder in folders} | packages
    assert all((ROOT / name).is_dir() for name in named)


def test_the_table_of_verbs_is_complete() -> None:
    """Each verb has its row and each row is a verb."""
    rows = re.findall(r"^\| (`[a-z`, ]+`) \| ", README, re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`([a-z]+)`", row)) == sorted(SCHEMAS)


def test_every_key_named_is_a_key() -> None:
    """A key that prose mentions is one that some verb takes."""
    keys = _keys()
    named = set(re.findall(r"`(?:wavenet [a-z]+ )?([a-z_]+(?:\.[a-z_]+)?)=[^`]*`", PROSE))
    assert named
    assert named - keys - {"CI"} == set()
    assert set(re.findall(r"`model=(\w+)`", PROSE)) <= set(list_presets())
    groups = {name.split(".")[0] for name in keys if "." in name}
    assert set(re.findall(r"`([a-z]+)\.\*`", PROSE)) <= groups


def test_the_pythons_named_are_those_that_are_allowed() -> None:
    """README and pyproject.toml agree on the versions, and this one is among them."""
    oldest, newest = re.search(r"Python 3\.(\d+) to 3\.(\d+)", README).groups()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">=3.{oldest},<3.{int(newest) + 1}"' in project
    assert int(oldest) <= sys.version_info.minor <= int(newest)
