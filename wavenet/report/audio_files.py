"""The audio beside the page: linked where that is possible, so that a report costs no second copy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from wavenet import durable
from wavenet.report.gather import Material


def bring_audio(material: Material, folder: Path, *, with_wav: bool) -> set[str]:
    """Give ``folder`` the audio of each clip, MP3 and on demand WAV too; return the names of the files."""
    wanted = {clip.audio for clip in material.clips}
    if with_wav:
        wanted |= {clip.wav for clip in material.clips if clip.wav is not None}
    if wanted:
        durable.make_folder(folder)
    for source in wanted:
        _bring(source, folder / source.name)
    if wanted:
        durable.sync_folder(folder)
    return {source.name for source in wanted}


def remove_others(folder: Path, wanted: Collection[str]) -> None:
    """Remove what an earlier report left in ``folder`` and this one does not need; the folder too when empty."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name in wanted:
            continue
        if path.is_dir() and not path.is_symlink():
            durable.remove_folder(path)
        else:
            path.unlink(missing_ok=True)
    if not wanted:
        folder.rmdir()


def _bring(source: Path, target: Path) -> None:
    """Make ``target`` the same file as ``source``, or a copy of it where links are not possible."""
    if target.exists() and target.samefile(source):
        return
    temporary = durable.temporary_name(target)
    try:
        os.link(source, temporary)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, temporary)
    temporary.replace(target)
