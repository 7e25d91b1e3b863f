"""Runs inside an image that is being built: keeps the compiled files of what was imported until now, by content.

Python has left them behind with the times of their sources in them. Such files differ from build to build, and are
checked at every start. What was not imported stays uncompiled: all of torch would be 50 MB more.
"""

from __future__ import annotations

import py_compile
import sys
from importlib import util
from pathlib import Path


def main(packages: Path) -> None:
    for compiled in packages.rglob("__pycache__/*.pyc"):
        source = Path(util.source_from_cache(str(compiled)))
        py_compile.compile(str(source), str(compiled), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
