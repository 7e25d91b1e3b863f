"""What the Markdown files say about the tree is so."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("wavenet", "jobs", "slurm", "containers", "tests")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def _anchors(document: Path) -> set[str]:
    """The anchors that a renderer makes of a document's headings."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    """A link in a document names a file that is there and, after #, a heading of it."""
    for link in LINK.findall(FENCE.sub("", document.read_text(encoding="utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        file, _, anchor = unquote(link).partition("#")
        target = (document.parent / file).resolve() if file else document
        assert target.exists(), link
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        assert not anchor or anchor in _anchors(target), f"{link}: no such heading in {target.name}"


@pytest.mark.parametrize("folder", ["jobs", "slurm", "tests"])
def test_the_tables_of_a_folder_name_what_is_there(folder: str) -> None:
    """Each file or folder that a folder's README lists in its table of places exists."""
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    table = text.split("\n| place |")[1].split("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    places = [place for row in rows for place in re.findall(r"`([^`]+)`", row)]
    assert places
    assert [place for place in places if not (ROOT / folder / place).exists()] == []
