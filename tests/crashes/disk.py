"""A disk that keeps what was made durable, and of the rest whatever it likes: what a power failure leaves.

It is told every change that a process really made, in order. A file's bytes are durable after an fsync of the file,
names after an fsync of their folder; nothing else is (POSIX promises no more, and file systems differ in what they do
beyond it). Of what is pending, a `Loss` decides: each write may be there, missing, or there in part; each change of
names may be there or missing, whatever became of those before it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class File:
    """One file: its bytes as processes see them, those that are durable, and the writes in between."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    pending: list[tuple[int, bytes]] = field(default_factory=list)

    def write(self, position: int, data: bytes) -> None:
        _write(self.content, position, data)
        self.pending.append((position, data))

    def sync(self) -> None:
        self.durable, self.pending = bytes(self.content), []


@dataclass
class Folder:
    """One folder: its names as processes see them, those that are durable, and the changes in between."""

    names: dict[str, Node] = field(default_factory=dict)
    durable: dict[str, Node] = field(default_factory=dict)
    pending: list[dict[str, Node | None]] = field(default_factory=list)

    def change(self, changes: dict[str, Node | None]) -> None:
        _change(self.names, changes)
        self.pending.append(changes)

    def sync(self) -> None:
        self.durable, self.pending = dict(self.names), []


Node = File | Folder


def _write(content: bytearray, position: int, data: bytes) -> None:
    content.extend(bytes(max(0, position - len(content))))
    content[position : position + len(data)] = data


def _change(names: dict[str, Node], changes: dict[str, Node | None]) -> None:
    for name, node in changes.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


@dataclass(frozen=True)
class Loss:
    """Decides for each pending change whether the disk has it: probabilities, and a source of draws."""

    names: float
    bytes: float
    draws: random.Random

    def keeps_name(self) -> bool:
        return self.draws.random() < self.names

    def kept_of(self, data: bytes) -> bytes:
        """All, nothing, or (a third of what is kept) a part of a write."""
        if self.draws.random() >= self.bytes:
            return b""
        is_torn = self.bytes < 1 and self.draws.random() < 1 / 3
        return data[: self.draws.randrange(len(data) + 1)] if is_torn else data


class Disk:
    """Everything under ``root``, which is empty at first."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tree = Folder()

    def node(self, path: Path) -> Node:
        """The file or folder that processes see under ``path``."""
        node: Node = self._tree
        for part in path.relative_to(self._root).parts:
            assert isinstance(node, Folder)
            node = node.names[part]
        return node

    def create(self, path: Path, *, truncate: bool) -> None:
        """Open a file for writing: made where it is missing."""
        folder = self._folder(path.parent)
        if path.name not in folder.names:
            folder.change({path.name: File()})
        elif truncate:
            raise NotImplementedError(f"{path} is overwritten in place, which nothing that must survive may do")

    def make_folder(self, path: Path) -> None:
        self._folder(path.parent).change({path.name: Folder()})

    def link(self, old: Path, new: Path) -> None:
        self._folder(new.parent).change({new.name: self.node(old)})

    def rename(self, old: Path, new: Path) -> None:
        """Within a folder the old name goes and the new one comes in one step; across folders in two."""
        node = self.node(old)
        if old.parent == new.parent:
            self._folder(new.parent).change({old.name: None, new.name: node})
        else:
            self._folder(new.parent).change({new.name: node})
            self._folder(old.parent).change({old.name: None})

    def remove(self, path: Path) -> None:
        self._folder(path.parent).change({path.name: None})

    def sync(self, path: Path) -> None:
        self.node(path).sync()

    def lose_power(self, place: Path, loss: Loss) -> None:
        """Write into the new folder ``place`` what is found after the power has come back."""
        _lay_out(self._tree, place, loss)

    def _folder(self, path: Path) -> Folder:
        node = self.node(path)
        assert isinstance(node, Folder)
        return node


def _lay_out(node: Node, place: Path, loss: Loss) -> None:
    if isinstance(node, File):
        content = bytearray(node.durable)
        for position, data in node.pending:
            kept = loss.kept_of(data)
            if kept:
                _write(content, position, kept)
        place.write_bytes(content)
        return
    names = dict(node.durable)
    for changes in node.pending:
        if loss.keeps_name():
            _change(names, changes)
    place.mkdir()
    for name, child in names.items():
        _lay_out(child, place / name, loss)
