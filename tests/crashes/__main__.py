"""``python -m tests.crashes``: every campaign at full length, as a table; or parts of them for a test, as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable

from tests.crashes import campaigns, mutations, power, zombies
from tests.crashes.campaigns import Result

KILLS = 1000
POWER_SEEDS = 20

Campaign = Callable[[], Result]


def main() -> None:
    """Run what is asked for; exit with 1 where something was found."""
    options = _options()
    if options.without in mutations.CHANGES:
        mutations.CHANGES[options.without]()
    results: dict[str, Result] = {}
    for name, campaign in _asked(options).items():
        started = time.monotonic()
        results[name] = campaign()
        if not options.json:
            _print(name, results[name], time.monotonic() - started)
    found = [sentence for result in results.values() for sentence in result.found]
    if options.json:
        total = Result()
        for result in results.values():
            total.add(result)
        calls = {fault: sorted(call for each, call in total.counts if each == fault) for fault, _ in total.counts}
        print(json.dumps({"points": total.num_points, "calls": calls, "found": found}))
    sys.exit(1 if found and not options.json else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crashes", description=__doc__)
    parser.add_argument("--kills", type=int, default=0, help="SIGKILLs, spread evenly over the changes")
    parser.add_argument("--errors", type=int, default=0, help="let every N-th pair of a call and an error happen")
    parser.add_argument("--power", type=int, default=0, help="cut the power after every N-th change")
    parser.add_argument("--zombies", type=int, default=0, help="let an attempt sleep at every N-th change")
    parser.add_argument("--without", default="", choices=["", *mutations.CHANGES, *mutations.SYNCS])
    parser.add_argument("--json", action="store_true", help="print points and findings for a program")
    return parser.parse_args()


def _asked(options: argparse.Namespace) -> dict[str, Campaign]:
    skips = mutations.SYNCS.get(options.without, lambda call: False)
    parts: dict[str, Campaign] = {
        "kills": lambda: campaigns.kill(options.kills),
        "errors": lambda: campaigns.disturb(options.errors),
        "power": lambda: power.cut_power(options.power, skips=skips),
        "zombies": lambda: zombies.awaken(options.zombies),
    }
    asked = {name: campaign for name, campaign in parts.items() if getattr(options, name)}
    return asked or {
        "kills": lambda: campaigns.kill(KILLS),
        "errors": campaigns.disturb,
        "power": _power_in_full,
        "zombies": zombies.awaken,
    }


def _power_in_full() -> Result:
    """Every change, with a first attempt that dies at another one, and other losses, each time."""
    result = Result()
    for seed in range(POWER_SEEDS):
        result.add(power.cut_power(seed=seed))
    return result


def _print(name: str, result: Result, seconds: float) -> None:
    by_fault = Counter[str]()
    for (fault, _), count in result.counts.items():
        by_fault[fault] += count
    for fault, count in by_fault.items():
        calls = {call for each, call in result.counts if each == fault}
        found = sum(sentence.startswith(f"{fault} at ") for sentence in result.found)
        print(f"| {name} | {fault} | {count:,} | {len(calls)} | {found} |", flush=True)
    print(f"{name}: {result.num_points:,} points, {len(result.found)} found, {seconds:.0f} s", file=sys.stderr)
    for sentence in result.found:
        print(f"found: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except NotImplementedError as error:
        print(json.dumps({"impossible": str(error)}))
