"""What an image stands on: a public image by its name, or a Debian made here where no registry is in reach.

The Debian is an OCI archive of one layer, which Apptainer, buildah and podman take without a registry.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import sys
import tarfile
from pathlib import Path

from containers import cache, debian
from containers.errors import BuildError

# Which Debian has which Python: the image's is that of the wheels, and so of the Python that runs this.
_SUITES = {"3.11": "bookworm", "3.13": "trixie"}
_PACKAGES = ("python3", "libstdc++6", "zlib1g")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# One entry for each layer: podman and buildah count them when they keep the layers of a build.
_HISTORY = [{"created_by": "mmdebstrap"}]


def python_version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def public() -> str:
    """The name of the public image with this Python."""
    return f"docker.io/library/python:{python_version()}-slim-bookworm"


def local(folder: Path) -> Path:
    """The archive of a Debian with this Python, in the cache ``folder``, made if it is not there.

    Raises:
        BuildError: no Debian has this Python, or it cannot be made here.
    """
    suite = _SUITES.get(python_version())
    if suite is None:
        versions = " and ".join(_SUITES)
        raise BuildError(
            f"a local base takes the Python of a Debian, {versions}; this is {python_version()}: "
            "run containers/build with one of them, or name a public image with --base"
        )
    recipe = debian.Recipe(suite, _PACKAGES, "essential")

    def make(place: Path) -> None:
        layer = place / "layer.tar"
        debian.bootstrap(recipe, layer)
        write_archive(layer, place / "base.tar")
        layer.unlink()

    return cache.kept(folder, "base", cache.digest_of(repr(recipe), repr(_HISTORY)), make) / "base.tar"


def write_archive(layer: Path, target: Path) -> None:
    """Write an OCI archive whose image is one uncompressed layer."""
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    blobs: dict[str, bytes] = {}

    def stored(kind: str, content: object) -> dict[str, object]:
        text = json.dumps(content, sort_keys=True).encode()
        digest = hashlib.sha256(text).hexdigest()
        blobs[digest] = text
        return {
            "mediaType": f"application/vnd.oci.image.{kind}.v1+json",
            "digest": f"sha256:{digest}",
            "size": len(text),
        }

    with layer.open("rb") as file:
        layer_digest = hashlib.file_digest(file, "sha256").hexdigest()
    file_of_layer = {
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": f"sha256:{layer_digest}",
        "size": layer.stat().st_size,
    }
    settings = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": _HISTORY,
    }
    manifest = {"schemaVersion": 2, "config": stored("config", settings), "layers": [file_of_layer]}
    entry = {**stored("manifest", manifest), "platform": {"architecture": architecture, "os": "linux"}}
    with tarfile.open(target, "w") as archive:
        for folder in ("blobs", "blobs/sha256"):  # Apptainer makes none that has no entry
            entry_of_folder = tarfile.TarInfo(folder)
            entry_of_folder.type, entry_of_folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry_of_folder)
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        for digest, text in blobs.items():
            _add(archive, f"blobs/sha256/{digest}", text)
        archive.add(layer, f"blobs/sha256/{layer_digest}", filter=_plain)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
    return entry
