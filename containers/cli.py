"""The command line."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from containers import base, cache, context, images, root, tried, unpack
from containers.errors import BuildError
from slurm.devcluster.errors import DevclusterError

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
    except (BuildError, DevclusterError) as problem:
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
    each = things.add_parser("tried", parents=[common], help="the images that the tests run in")
    each.set_defaults(run=_tried)
    each = things.add_parser("folder", parents=[common], help="an archive unpacked, for charliecloud and podman")
    each.add_argument("archive", type=Path, help="as `containers/build oci` writes it")
    each.add_argument("target", type=Path, help="what to write; not there yet")
    each.set_defaults(run=_folder)
    for thing, meaning, run in (
        ("sif", "an image file for Apptainer and Singularity", _sif),
        ("oci", "an archive for podman, docker and charliecloud", _oci),
        ("context", "the folder that either is built from, to take to where it can be built", _context),
    ):
        each = things.add_parser(thing, parents=[common, _image_options()], help=meaning)
        each.add_argument("target", type=Path, help="what to write; not there yet")
        each.set_defaults(run=run)
    return parser


def _image_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    add = parser.add_argument
    add("--variant", choices=context.VARIANTS, default="cpu", help="which torch is inside (default: %(default)s)")
    public = base.public()
    add("--base", default=public, help="a public image, or `local`: a Debian made here (default: %(default)s)")
    add("--index", default="", help="a further package index, beside those of pip's own settings")
    return parser


def _root(options: argparse.Namespace) -> Path:
    return root.root(options.cache.absolute())


def _tried(options: argparse.Namespace) -> Path:
    place = tried.image(options.cache.absolute())
    tried.archive(options.cache.absolute())
    return place


def _context(options: argparse.Namespace) -> Path:
    target = _free(options.target)
    target.mkdir(parents=True)
    context.write(_wanted(options), target, options.cache.absolute())
    return target


def _sif(options: argparse.Namespace) -> Path:
    target = _free(options.target)
    program = images.sif_program()
    with tempfile.TemporaryDirectory(prefix="wavenet-context-") as folder:
        context.write(_wanted(options), Path(folder), options.cache.absolute())
        images.build_sif(program, Path(folder), target)
    return target


def _oci(options: argparse.Namespace) -> Path:
    target = _free(options.target)
    program = images.oci_program()
    with tempfile.TemporaryDirectory(prefix="wavenet-context-") as folder:
        context.write(_wanted(options), Path(folder), options.cache.absolute())
        images.build_oci(program, Path(folder), target)
    return target


def _folder(options: argparse.Namespace) -> Path:
    target = _free(options.target)
    unpack.unpack(options.archive, target)
    return target


def _wanted(options: argparse.Namespace) -> context.Wanted:
    return context.Wanted(options.variant, options.base, options.index)


def _free(target: Path) -> Path:
    if target.exists():
        raise BuildError(f"{target} is already there: name another, or remove it")
    return target.absolute()
