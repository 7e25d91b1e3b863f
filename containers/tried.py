"""The images that the tests run in: of this checkout as it is, made anew when something in it has changed."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from containers import base, cache, context, images, inside, root

_PARTS = ("wavenet", "jobs", "slurm", "containers")
_LOOSE = ("pyproject.toml", "constraints.txt", "README.md", "LICENSE")
_IRRELEVANT = {".pyc", ".so", ".stamp", ".md"}  # made from the others, or read by people


def image(folder: Path) -> Path:
    """The image in the cache ``folder``, made if it is not there. The image of an earlier state is removed.

    Raises:
        BuildError: it cannot be made here, and why.
    """

    def make(place: Path) -> None:
        gathered = place / "context"
        gathered.mkdir()
        with ThreadPoolExecutor(2) as beside:  # each waits for the network in turn
            made_root = beside.submit(root.root, folder)
            beside.submit(base.local, folder)
            context.write(context.Wanted("cpu", context.LOCAL), gathered, folder)
        inside.build_sif(made_root.result(), gathered, place / "wavenet.sif", inside.QUICK)
        cache.remove(gathered)

    return cache.kept(folder, "image", _digest(), make, is_only=True) / "wavenet.sif"


def archive(folder: Path) -> Path:
    """The OCI archive in the cache ``folder``, as `image`. What the program needs is in layers that are kept.

    Raises:
        BuildError: it cannot be made here, and why.
    """
    program = images.oci_program()

    def make(place: Path) -> None:
        gathered = place / "context"
        gathered.mkdir()
        context.write(context.Wanted("cpu", context.LOCAL), gathered, folder)
        images.build_oci(program, gathered, place / "wavenet.tar", folder / "layers")
        cache.remove(gathered)

    return cache.kept(folder, "archive", _digest(), make, is_only=True) / "wavenet.tar"


def _digest() -> str:
    files = [context.PROJECT / name for name in _LOOSE]
    for part in _PARTS:
        found = sorted(path for path in (context.PROJECT / part).rglob("*") if path.is_file())
        files += [path for path in found if path.suffix not in _IRRELEVANT]
    texts: list[str | bytes] = [sys.version]
    for path in files:
        texts += [str(path.relative_to(context.PROJECT)), path.read_bytes()]
    return cache.digest_of(*texts)
