"""Every promise of the README names the tests that hold it, and those tests exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADING = "## The promises and the tests that hold them"


def _rows() -> list[tuple[str, str]]:
    """Promise and holders of each row of the README's table."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split(f"\n{HEADING}\n")[1].split("\n## ")[0]
    rows = [line.strip().strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [(promise.strip(), holders.strip()) for promise, holders in rows[1:]]


@pytest.mark.parametrize(("promise", "holders"), _rows())
def test_a_promise_is_held_by_tests_that_exist(promise: str, holders: str) -> None:
    """Each row links a test file and names functions of it, and a renamed or removed test breaks the promise here."""
    held = re.findall(r"\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)", holders)
    assert held, f"{promise}: no test is named"
    for name, file in held:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{file} has no {name}"
