"""The house keeps its shape: small files and functions, the environment in one room, nothing undeclared."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PRODUCT = sorted(path for folder in ("wavenet", "jobs", "slurm") for path in (ROOT / folder).rglob("*.py"))
LIBRARY = [path for path in PRODUCT if path.is_relative_to(ROOT / "wavenet")]
EVERYTHING = PRODUCT + sorted(path for folder in ("containers", "tests") for path in (ROOT / folder).rglob("*.py"))

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
TOP_LEVEL = {"wavenet", "jobs", "slurm", "containers", "tests"}
ONE_HOME_OF_THE_ENVIRONMENT = ROOT / "jobs" / "environment.py"
# Words that the project says otherwise: recording, step, run, requeue.
FOREIGN_WORDS = {"song", "songs", "utterance", "utterances", "iteration", "iterations", "trial", "trials", "resubmit"}
MODULE_OF_DISTRIBUTION = {
    "hydra-core": "hydra",
    "pyyaml": "yaml",
    "imageio-ffmpeg": "imageio_ffmpeg",
    "audioop-lts": "audioop",
}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _walk(paths: list[Path], kind: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    for path in paths:
        yield from ((path, node) for node in ast.walk(_tree(path)) if isinstance(node, kind))


def test_files_are_small() -> None:
    """A file that has grown too long holds two responsibilities."""
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in EVERYTHING}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES_OF_A_FILE} == {}


def test_functions_are_small() -> None:
    """A function that does not fit on a screen is two functions."""
    functions = [*_walk(EVERYTHING, ast.FunctionDef), *_walk(EVERYTHING, ast.AsyncFunctionDef)]
    lengths = {f"{_name(path)}:{node.name}": node.end_lineno - node.lineno + 1 for path, node in functions}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES_OF_A_FUNCTION} == {}


def test_only_one_file_reads_the_environment() -> None:
    """The environment is read in one place and passed on as values, so that tests need no variables."""
    found = {
        f"{_name(path)}:{node.lineno}"
        for path, node in _walk(PRODUCT, ast.Attribute)
        if isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in {"environ", "getenv", "putenv"}
        and path != ONE_HOME_OF_THE_ENVIRONMENT
    }
    assert found == set()


def test_the_library_does_not_print() -> None:
    """The library gives values back; what a user sees is the command line's affair."""
    calls = {
        f"{_name(path)}:{node.lineno}"
        for path, node in _walk(LIBRARY, ast.Call)
        if isinstance(node.func, ast.Name) and node.func.id in {"print", "input"}
    }
    streams = {
        f"{_name(path)}:{node.lineno}"
        for path, node in _walk(LIBRARY, ast.Attribute)
        if isinstance(node.value, ast.Name) and node.value.id == "sys" and node.attr in {"stdout", "stderr", "stdin"}
    }
    assert calls | streams == set()


def test_importing_a_package_imports_nothing_else() -> None:
    """Reading a run's history must not import torch, so the packages' own files are a docstring (and lazy names)."""
    for path in LIBRARY:
        if path.name == "__init__.py":
            imported = {
                alias.name
                for node in _tree(path).body
                if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in node.names
                if getattr(node, "module", "") != "__future__"
            }
            assert imported <= {"Any", "TYPE_CHECKING", "importlib"}, _name(path)
            assert ast.get_docstring(_tree(path)), f"{_name(path)} says in a line what is in the folder"


def test_the_project_declares_what_it_imports() -> None:
    """What comes along with another package today may be gone tomorrow: each import has its own dependency."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[<>=;\[ ]", each)[0].lower() for each in project["dependencies"]]
    declared = {MODULE_OF_DISTRIBUTION.get(name, name.replace("-", "_")) for name in names}
    own = {"wavenet", "jobs", "slurm"}
    imported: set[str] = set()
    for _, node in _walk(PRODUCT, ast.Import):
        imported |= {alias.name.split(".")[0] for alias in node.names}
    for _, node in _walk(PRODUCT, ast.ImportFrom):
        imported |= {node.module.split(".")[0]} if node.module and not node.level else set()
    assert imported - own - set(sys.stdlib_module_names) <= declared
    assert declared - {"audioop"} <= imported


def test_every_dependency_is_pinned() -> None:
    """The environment is the same on every machine: constraints.txt names one version of each package installed."""
    pins = re.findall(r"^([a-z0-9-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {re.split(r"[<>=;\[ ]", each)[0].lower() for each in wanted} <= set(pins)


def test_the_top_level_is_fixed() -> None:
    """Five folders and a few loose files: benchmarks and prose live inside them."""
    ignored = {line.strip("/\n") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()}
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert folders - ignored == TOP_LEVEL


@pytest.mark.parametrize("folder", [*sorted(TOP_LEVEL), "tests/benchmarks"])
def test_each_folder_explains_itself(folder: str) -> None:
    """Prose stands beside what it is about."""
    assert (ROOT / folder / "README.md").read_text(encoding="utf-8").startswith("# ")


def test_the_librarys_map_is_complete() -> None:
    """wavenet/README.md names every folder and file of the library, and none that is not there."""
    named = set(re.findall(r"^\| `([a-z_]+(?:/|\.py))`", (ROOT / "wavenet/README.md").read_text("utf-8"), re.MULTILINE))
    folders = {f"{path.parent.name}/" for path in LIBRARY if path.name == "__init__.py"} - {"wavenet/"}
    files = {path.name for path in LIBRARY if path.parent.name == "wavenet" and path.name != "__init__.py"}
    assert named == folders | files


def test_one_word_for_one_thing() -> None:
    """A reader who meets two words looks for two things."""
    identifiers: set[str] = set()
    for path, node in [*_walk(PRODUCT, ast.FunctionDef), *_walk(PRODUCT, ast.ClassDef)]:
        identifiers.add(f"{_name(path)}:{node.name}")
    for path, node in _walk(PRODUCT, ast.arg):
        identifiers.add(f"{_name(path)}:{node.arg}")
    for path, node in _walk(PRODUCT, ast.Name):
        identifiers.add(f"{_name(path)}:{node.id}")
    foreign = {each for each in identifiers if set(each.split(":")[1].lower().split("_")) & FOREIGN_WORDS}
    assert foreign == set()


def test_nothing_is_left_for_later() -> None:
    """Work that is not done is an issue, not a comment."""
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    assert [_name(path) for path in EVERYTHING if marks.search(path.read_text(encoding="utf-8"))] == []
