"""Which container image this process runs in, if in one of the program's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from wavenet.errors import DamagedError


def image_version(environment: Path = Path(sys.prefix)) -> dict[str, str]:
    """``{"image": digest}`` where the image has left its description beside its packages, else nothing.

    The digest (first 16 hex digits of a SHA-256) stands for every package in the image. Libraries of equal versions may
    be built differently, and a version number of the program stays while it is changed.

    Raises:
        DamagedError: the description is none.
    """
    path = environment / "image.json"
    try:
        return {"image": str(json.loads(path.read_text("utf-8"))["digest"])[:16]}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{str(path)!r} must describe the image that it is in, and does not: {error}") from error
