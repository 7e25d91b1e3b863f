"""``python -m tests.benchmarks [--json] [name ...]``: measure, and say on what."""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

import torch

from tests.benchmarks import containers, evaluation, generation, gpu, measurements, status
from tests.benchmarks.measurements import Measurement

ALL = measurements.ALL | generation.ALL | gpu.ALL | evaluation.ALL | status.ALL | containers.ALL


def machine() -> dict[str, object]:
    """What the numbers belong to."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"some of: {', '.join(ALL)}")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(ALL))
    if unknown:
        parser.error(f"no benchmark is named {unknown[0]!r}; there are: {', '.join(ALL)}")
    found: list[Measurement] = []
    for name in arguments.names or ALL:
        for measurement in ALL[name]():
            found.append(measurement)
            if not arguments.json:
                print(f"{measurement.what:<58} {measurement.value:>10,.4g} {measurement.unit}", flush=True)
    facts = machine()
    if arguments.json:
        print(json.dumps({"machine": facts, "measurements": [asdict(each) for each in found]}, indent=1))
    else:
        print(", ".join(f"{name} {value}" for name, value in facts.items()))


main()
