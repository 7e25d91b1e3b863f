"""Runs inside an image that is being built: keeps the compiled files of what was imported until now, by content.

Python has left them behind with the times of their sources in them. Such files differ from build to build, and are
checked at every start. What was not imported stays uncompiled: all of torch would be 50 MB more.
"""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path

_HEADER_BYTES = 16  # Python's version, 4 of flags, 8 of the source's time and size or of its hash
_BY_HASH_UNCHECKED = (0b01).to_bytes(4, "little")


def main(packages: Path) -> None:
    for compiled in packages.rglob("__pycache__/*.pyc"):
        content = compiled.read_bytes()
        source_hash = util.source_hash(Path(util.source_from_cache(str(compiled))).read_bytes())
        compiled.write_bytes(util.MAGIC_NUMBER + _BY_HASH_UNCHECKED + source_hash + content[_HEADER_BYTES:])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
