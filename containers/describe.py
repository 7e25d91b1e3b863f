"""Runs inside an image that is being built: prints what is in it, for `/opt/wavenet/image.json`."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

PROJECT = "wavenet-exploration"


def describe(wheels: Path, variant: str) -> dict[str, object]:
    """The same wheels on the same base give the same description."""
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(wheels.glob("*.whl"))}
    content = "".join(f"{name} {digest}\n" for name, digest in files.items())
    return {
        "project": f"{PROJECT} {metadata.version(PROJECT)}",
        "variant": variant,
        "digest": hashlib.sha256(content.encode()).hexdigest(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "wheels": files,
        "system": _system_packages(),
    }


def _system_packages() -> dict[str, str]:
    form = "--showformat=${Package} ${Version}\n"
    command = ["dpkg-query", "--show", form]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return dict(line.split(" ", 1) for line in listed.stdout.splitlines())


if __name__ == "__main__":
    json.dump(describe(Path(sys.argv[1]), sys.argv[2]), sys.stdout, indent=1)
    sys.stdout.write("\n")
