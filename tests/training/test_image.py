"""The image that a process runs in is part of what it was computed with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wavenet.errors import DamagedError
from wavenet.training.image import image_version


def test_an_image_is_known_by_its_description(tmp_path: Path) -> None:
    """The digest of its packages, where the image has left it beside them."""
    (tmp_path / "image.json").write_text(json.dumps({"digest": "0123456789abcdef" * 4}), "utf-8")
    assert image_version(tmp_path) == {"image": "0123456789abcdef"}


def test_outside_an_image_there_is_none(tmp_path: Path) -> None:
    """Nor a key for it: runs without images stay as they are."""
    assert image_version(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", "\0"])
def test_a_damaged_description_is_no_image_and_no_lack_of_one(tmp_path: Path, text: str) -> None:
    """Or a run would go on in another image without a word."""
    (tmp_path / "image.json").write_text(text, "utf-8")
    with pytest.raises(DamagedError, match=r"image\.json"):
        image_version(tmp_path)
