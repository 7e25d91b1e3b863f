"""Memory that runs out, as what it is: Python, torch and the system each have words of their own for it."""

from __future__ import annotations

import errno
import resource

from wavenet.errors import OutOfMemoryError

REMEDY = (
    "ask for more memory (cluster.memory_gb), or train with training.recompute=true, which needs less and changes no "
    "bit; a new run may have a smaller training.micro_batch_size"
)
_WORDS_OF_ALLOCATORS = ("can't allocate memory", "out of memory", "Cannot allocate memory")


def named(error: BaseException) -> BaseException:
    """``error``, or where it says that memory ran out an `OutOfMemoryError` with what was used and what to change."""
    is_shortage = (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS_OF_ALLOCATORS))
    )
    if not is_shortage:
        return error
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    asked = f" ({' '.join(str(error).split())[:120]})" if str(error) else ""
    return OutOfMemoryError(f"out of memory: this process used {used:,.0f} MiB and got no more{asked}; {REMEDY}")
