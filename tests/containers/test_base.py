"""The base that is made here is an OCI image that runtimes take without a registry."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from containers import base, context
from containers.errors import BuildError


def test_an_archive_is_an_oci_layout_whose_blobs_are_what_they_are_named(tmp_path: Path) -> None:
    """From the index to the layer, each is found by the digest that the one before says."""
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as archive:
        archive.add(__file__, "etc/file")
    base.write_archive(layer, tmp_path / "base.tar")
    with tarfile.open(tmp_path / "base.tar") as archive:
        blobs = {
            name: archive.extractfile(name).read() for name in archive.getnames() if archive.getmember(name).isfile()
        }
    for name, content in blobs.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"

    def blob(entry: dict) -> bytes:
        content = blobs[f"blobs/{entry['digest'].replace(':', '/')}"]
        assert len(content) == entry["size"]
        return content

    manifest = json.loads(blob(json.loads(blobs["index.json"])["manifests"][0]))
    settings = json.loads(blob(manifest["config"]))
    assert settings["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    assert blob(manifest["layers"][0]) == layer.read_bytes()


def test_the_same_layer_gives_the_same_archive(tmp_path: Path) -> None:
    """Byte for byte, whenever and by whomever it is written."""
    layer = tmp_path / "layer.tar"
    layer.write_bytes(b"layer")
    base.write_archive(layer, tmp_path / "first.tar")
    layer.touch()
    base.write_archive(layer, tmp_path / "second.tar")
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()


def test_another_torch_than_the_variant_says_is_refused(tmp_path: Path) -> None:
    """An image ten times as large would be a surprise; so would one without CUDA."""
    (tmp_path / "nvidia_cublas-1-py3-none-any.whl").touch()
    with pytest.raises(BuildError, match="torch with CUDA, and the variant is cpu"):
        context._require_variant(tmp_path, "cpu")
    context._require_variant(tmp_path, "cuda")
