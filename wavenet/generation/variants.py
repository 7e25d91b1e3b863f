"""Which implementation draws the levels on this machine: others differ in the last bits of their logits."""

from __future__ import annotations

from wavenet.errors import UsageError
from wavenet.generation.config import Variant
from wavenet.generation.native.library import find_library

BUILD_COMMAND = "python -m wavenet.generation.native.build"


def runnable() -> list[Variant]:
    """Those that this processor can run: those of float32, fastest first, torch, then those that round the weights."""
    library = find_library()
    native = list(library.runnable) if library else []
    rounding = [each for name in native for each in Variant if each.is_rounded and each.instructions == name]
    return [*map(Variant, native), Variant.torch, *rounding]


def choose(wanted: Variant) -> Variant:
    """``wanted``, or the fastest where it is `Variant.auto`.

    Raises:
        UsageError: this machine cannot run it.
    """
    possible = runnable()
    if wanted is Variant.auto:
        return possible[0]
    if wanted not in possible:
        names = ", ".join(variant.value for variant in possible)
        reason = "the native kernel is not built" if find_library() is None else "its processor lacks the instructions"
        raise UsageError(f"generate.variant={wanted.value} cannot run on this machine ({reason}); what can: {names}")
    return wanted


def slower_path() -> str | None:
    """A sentence where generation has to do without the native kernel."""
    if find_library() is not None:
        return None
    return (
        "generation takes the slower path, by torch: the native kernel was not built when this was installed; "
        f"with a C++ compiler, `{BUILD_COMMAND}` builds it"
    )
