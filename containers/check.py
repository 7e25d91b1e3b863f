"""Runs inside the finished image: makes a little music, learns from it for two steps, and makes audio from that."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HOME = Path(__file__).parent
SMALL = (
    "model.layers_per_stack=4",
    "model.residual_channels=8",
    "model.dilation_channels=8",
    "model.skip_channels=8",
    "training.window_samples=200",
    "training.num_steps=2",
    "training.warmup_steps=1",
    "training.validation_every=0",
)
UNWANTED = ("pip", "cc", "gcc", "g++", "make", "cmake", "ninja")


def main() -> None:
    """Ends with a sentence where something is wrong."""
    found = [program for program in UNWANTED if shutil.which(program, path=f"{HOME / 'bin'}:/usr/bin:/bin")]
    if found:
        sys.exit(f"the image holds {', '.join(found)}, which no run needs")
    with tempfile.TemporaryDirectory(prefix="wavenet-check-") as folder:
        _make_music(Path(folder))
        clips = ["clips.seconds=2", "clips.min_recording_seconds=2"]
        _wavenet(folder, "prepare", "source=music", *clips)
        _wavenet(folder, "train", "run=check", *SMALL)
        _wavenet(folder, "generate", "run=check", "generate.seconds=0.02", "generate.primings=[silence]")
        if not list(Path(folder).glob("runs/check/generated/*.mp3")):
            sys.exit("the image made no audio")
    image = json.loads((HOME / "image.json").read_text("utf-8"))
    sys.stdout.write(f"{image['project']} ({image['variant']}, digest {image['digest'][:16]}) works in this image\n")


def _make_music(folder: Path) -> None:
    from wavenet.synthetic.library import write_library

    write_library(folder / "music", seconds=2.0, recordings_share=0.25)


def _wavenet(folder: str, *words: str) -> None:
    command = [str(HOME / "bin" / "wavenet"), *words, "cluster=local"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"in the image, wavenet {words[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
