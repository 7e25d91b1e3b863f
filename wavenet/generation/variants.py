"""Which implementation draws the levels on this machine: others differ in the last bits of their logits."""

from __future__ import annotations

from wavenet.errors import UsageError
from wavenet.generation.config import Variant
from wavenet.generation.native.library import find_library

BUILD_COMMAND = "python -m wavenet.generation.native.build"


def runnable() -> list[Variant]:
    """Those that this machine's processor can run, in the order in which `choose` would take them.

    Fixed point of 16 bits comes first, which computes twice as much at a time, and then weights of 16 bits, which are
    read in half the time. Both change the distributions of a clip's half a million samples by less than one bit in all
    (native/README.md has the numbers): nobody could tell from a clip which it was drawn with.
    """
    library = find_library()
    native = library.runnable if library else {}
    return [each for each in Variant if each is Variant.torch or each.instructions in native]


def choose(wanted: Variant) -> Variant:
    """``wanted``, or the fastest where it is `Variant.auto`.

    Raises:
        UsageError: this machine cannot run it.
    """
    possible = runnable()
    if wanted is Variant.auto:
        return possible[0]
    if wanted not in possible and (reason := _obstacle(wanted)):
        names = ", ".join(variant.value for variant in possible)
        raise UsageError(f"generate.variant={wanted.value} cannot run on this machine ({reason}); what can: {names}")
    return wanted


def _obstacle(wanted: Variant) -> str | None:
    if wanted is Variant.cuda:
        import torch  # takes seconds

        return None if torch.cuda.is_available() else "torch sees no GPU"
    return "the native kernel is not built" if find_library() is None else "its processor lacks the instructions"


def slower_path() -> str | None:
    """A sentence where generation has to do without the native kernel."""
    if find_library() is not None:
        return None
    return (
        "generation takes the slower path, by torch: the native kernel was not built when this was installed; "
        f"with a C++ compiler, `{BUILD_COMMAND}` builds it"
    )
