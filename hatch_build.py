"""What Hatch calls while it makes a wheel or an editable install: compile the kernel of generation.

Without a compiler the package is complete all the same; generation then takes the slower path and says so.
"""

from __future__ import annotations

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "wavenet/generation/native"


class KernelHook(BuildHookInterface):
    """Builds the kernel beside its source, whence an editable install takes it."""

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        """``_version`` is "standard" or "editable"; both need the same."""
        # By its path: the environment of a build has no package of ours.
        kernel = runpy.run_path(str(Path(self.root) / FOLDER / "build.py"))
        try:
            kernel["build"]()
        except kernel["BuildError"] as error:
            self.app.display_warning(f"the kernel of generation was not built: {error}")
            return
        build_data["artifacts"] += [f"/{FOLDER}/{name}" for name in kernel["PRODUCTS"]]
        build_data["pure_python"] = False
        # It is called without Python's own interface, so one wheel serves every version.
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
