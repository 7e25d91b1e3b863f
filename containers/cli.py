"""The command line."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from containers import cache, root
from containers.errors import BuildError

COMMAND = "containers/build"


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main(arguments: list[str]) -> int:
    """Build one thing and print where it is; the exit code is 0, or 1 for what went wrong."""
    options = _parser().parse_args(arguments)
    # Ended by a service manager or a time limit, it cleans up as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    start = time.monotonic()
    try:
        place = options.run(options)
    except BuildError as problem:
        say(f"build: {problem}")
        return 1
    except KeyboardInterrupt:
        return 130
    say(f"ready after {time.monotonic() - start:.1f} s")
    sys.stdout.write(f"{place}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=COMMAND, description="Build an image of the program, or what it is tried in.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--cache", type=Path, default=cache.default_folder(), help="where things are kept (default: %(default)s)"
    )
    things = parser.add_subparsers(required=True, metavar="THING")
    each = things.add_parser("root", parents=[common], help="a Debian with a recent Slurm, for slurm/devcluster --root")
    each.set_defaults(run=_root)
    return parser


def _root(options: argparse.Namespace) -> Path:
    return root.root(options.cache.absolute())
