"""Run as `python3 slurm/devcluster VERB`, or as `python3 -m slurm.devcluster VERB` where the project is installed."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Run as a folder, Python searches the folder itself first, and the package's own imports would not be found.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

if __name__ == "__main__":
    from slurm.devcluster.cli import main

    sys.exit(main(sys.argv[1:]))
