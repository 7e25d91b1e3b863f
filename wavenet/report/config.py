"""What a user may choose about the report."""

from __future__ import annotations

from dataclasses import dataclass

from wavenet.settings import key


@dataclass(frozen=True)
class ReportConfig:
    """Options of the report."""

    wav: bool = key(False, "also bring the WAV of each clip, about ten times the size of its MP3")
    models: bool = key(True, "also bring the checkpoints that made the clips, as safetensors with their configuration")
    title: str = key("", "heading of the page; empty for the name of the run")
