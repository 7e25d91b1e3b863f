"""A small Debian in a folder or an archive, made by mmdebstrap from where this machine's apt gets its own packages."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from containers.errors import BuildError
from containers.programs import require, run

KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PROGRAMS = {"mmdebstrap": "mmdebstrap", "apt-get": "apt"}
# Settings of apt that say how an archive is reached, not where. `#clear` and lists are left out.
_WAYS = re.compile(r"Acquire::(https?|Check|Retries|Force|Max|Send|Queue)[\w:-]* \".*\";")
_UNWANTED = ("doc", "man", "info", "locale", "lintian", "bash-completion")


@dataclass(frozen=True)
class Recipe:
    """What is in it.

    Attributes:
        suite: of Debian, such as bookworm.
        packages: beside the essential ones.
        variant: mmdebstrap's; ``apt`` has apt in it, ``essential`` does not.
        later_suite: where ``later_packages`` come from, and nothing else.
    """

    suite: str
    packages: tuple[str, ...]
    variant: str
    later_suite: str = ""
    later_packages: tuple[str, ...] = ()

    def pins(self) -> str:
        """The text of apt's preferences."""
        return (
            f"Package: *\nPin: release n={self.later_suite}\nPin-Priority: 50\n\n"
            f"Package: {' '.join(self.later_packages)}\nPin: release n={self.later_suite}\nPin-Priority: 900\n"
        )


def bootstrap(recipe: Recipe, target: Path) -> None:
    """Make it at ``target``: a folder, or an archive if that is the name of a ``.tar``.

    Raises:
        BuildError: something is lacking, or mmdebstrap failed.
    """
    require(_PROGRAMS, "making a Debian")
    if not KEYS.is_file():
        raise BuildError(
            f"making a Debian takes the keys of its archive, {KEYS}: apt-get install debian-archive-keyring"
        )
    archive = _archive()
    suites = [recipe.suite, *([recipe.later_suite] if recipe.later_suite else [])]
    sources = [f"deb [signed-by={KEYS}] {archive} {suite} main" for suite in suites]
    options = [f"--variant={recipe.variant}", "--format=" + ("tar" if target.suffix == ".tar" else "directory")]
    options.append(f"--include={','.join([*recipe.packages, *recipe.later_packages])}")
    options += [f"--aptopt={way}" for way in _ways()]
    options.append('--aptopt=APT::Install-Recommends "false";')
    # What a power failure leaves half-made is made anew; waiting for the disk after each file takes long.
    options.append("--dpkgopt=force-unsafe-io")
    options += [f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in _UNWANTED]
    # How the archive was reached from here is nobody's business who uses the result.
    options.append('--customize-hook=rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/apt/sources.list"')
    with tempfile.NamedTemporaryFile("w", prefix="pins-") as pins:
        if recipe.later_suite:
            pins.write(recipe.pins())
            pins.flush()
            options.append(
                f'--setup-hook=mkdir -p "$1/etc/apt/preferences.d"; cp {pins.name} "$1/etc/apt/preferences.d/later"'
            )
        run(["mmdebstrap", *options, recipe.suite, str(target), *sources])


def _archive() -> str:
    """Where this machine's apt finds Debian's packages."""
    for is_fresh in (False, True):
        if is_fresh:  # the machine may know the place, and have been swept of what lies there
            run(["apt-get", "update", "-qq"])
        form = "$(ORIGIN) $(CODENAME) $(REPO_URI)"
        for line in run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"]).splitlines():
            found = re.fullmatch(r"Debian [a-z]+ (\S+)", line)  # no bookworm-security
            if found:
                return found[1]
    raise BuildError("making a Debian takes a machine whose apt knows where Debian's packages are; this one's does not")


def _ways() -> list[str]:
    """How this machine's apt reaches archives: proxies, certificates, patience."""
    return [line for line in run(["apt-config", "dump", "Acquire"]).splitlines() if _WAYS.fullmatch(line)]
