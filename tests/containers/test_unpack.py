"""An archive of layers becomes one folder, or none."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from containers.errors import BuildError
from containers.unpack import unpack


def layer_of(*entries: tuple[str, str | None]) -> bytes:
    """A compressed layer: names with their text, or None for a folder."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as layer:
        for name, text in entries:
            entry = tarfile.TarInfo(name)
            if text is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            entry.size = len(text or "")
            layer.addfile(entry, io.BytesIO((text or "").encode()))
    return gzip.compress(content.getvalue())


def archive_of(folder: Path, *layers: bytes) -> Path:
    def named(content: bytes) -> dict[str, str]:
        digest = hashlib.sha256(content).hexdigest()
        add(f"blobs/sha256/{digest}", content)
        return {"digest": f"sha256:{digest}"}

    def add(name: str, content: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))

    with tarfile.open(folder / "image.tar", "w") as archive:
        manifest = named(json.dumps({"layers": [named(layer) for layer in layers]}).encode())
        add("index.json", json.dumps({"manifests": [manifest]}).encode())
    return folder / "image.tar"


def test_a_layer_lies_over_those_below_it(tmp_path: Path) -> None:
    """It adds files, puts others in their place, and hides some."""
    below = layer_of(
        (".", None),
        ("app", None),
        ("app/kept", "1"),
        ("app/changed", "1"),
        ("app/gone", "1"),
        ("old", None),
        ("old/a", "1"),
    )
    above = layer_of(("app/changed", "2"), ("app/.wh.gone", ""), ("app/new", "2"), ("old/.wh..wh..opq", ""))
    unpack(archive_of(tmp_path, below, above), tmp_path / "image")
    found = {path.name: path.read_text("utf-8") for path in (tmp_path / "image" / "app").iterdir()}
    assert found == {"kept": "1", "changed": "2", "new": "2"}
    assert not list((tmp_path / "image" / "old").iterdir())


def test_what_runtimes_mount_over_is_there(tmp_path: Path) -> None:
    """They make nothing in an image that is not theirs to change."""
    unpack(archive_of(tmp_path, layer_of(("etc", None), ("etc/hosts", "own"))), tmp_path / "image")
    assert (tmp_path / "image" / "proc").is_dir()
    assert (tmp_path / "image" / "etc" / "passwd").is_file()
    assert (tmp_path / "image" / "etc" / "hosts").read_text("utf-8") == "own"


@pytest.mark.parametrize("content", [b"no archive", None, b""])
def test_what_is_no_archive_leaves_nothing(tmp_path: Path, content: bytes | None) -> None:
    """And is named in a sentence."""
    if content is not None:
        (tmp_path / "image.tar").write_bytes(content)
    with pytest.raises(BuildError, match=r"image\.tar cannot be unpacked as an OCI archive"):
        unpack(tmp_path / "image.tar", tmp_path / "image")
    assert {path.name for path in tmp_path.iterdir()} <= {"image.tar"}


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.LNKTYPE])
def test_nothing_outside_is_reached_by_a_link(tmp_path: Path, kind: bytes) -> None:
    """Neither a folder's mode is changed through a link in the layer, nor somebody's file linked to."""
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (outside / "file").write_text("own", "utf-8")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as layer:
        for name, type_, to in (("a", tarfile.SYMTYPE, str(outside)), ("a", kind, str(outside / "file"))):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = type_, to, 0o755
            layer.addfile(entry)
    with pytest.raises(BuildError, match="leads out of it"):
        unpack(archive_of(tmp_path, gzip.compress(content.getvalue())), tmp_path / "image")
    assert outside.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["../outside", "../.wh.kept", "../.wh..wh..opq"])
def test_nothing_is_changed_outside_the_folder(tmp_path: Path, name: str) -> None:
    """Whatever names an archive has."""
    (tmp_path / "kept").touch()
    with pytest.raises(BuildError):
        unpack(archive_of(tmp_path, layer_of((name, "1"))), tmp_path / "image")
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "image.tar"}


def test_a_python_without_filters_unpacks_as_well(tmp_path: Path) -> None:
    """Debian 12 has one, and a login node has what its system has: the same files with the same modes."""
    code = (
        "import sys, tarfile; from pathlib import Path; known = tarfile.__dict__.pop('fully_trusted_filter', None)\n"
        "from containers.unpack import unpack; tarfile.fully_trusted_filter = known; unpack(*map(Path, sys.argv[1:]))"
    )
    archive = archive_of(tmp_path, layer_of(("app", None), ("app/file", "1")))
    unpack(archive, tmp_path / "by this one")
    words = [sys.executable, "-c", code, archive, tmp_path / "by the other"]
    subprocess.run(words, check=True, cwd=Path(__file__).parents[2])
    first, second = (
        {str(path.relative_to(top)): path.lstat().st_mode for path in top.rglob("*")}
        for top in (tmp_path / "by this one", tmp_path / "by the other")
    )
    assert first == second
    assert "app/file" in first
