"""A graph like CUDA's, of a processor's operations: what can be recorded there and repeated, can be here.

While recording nothing is done to memory; the operations are noted with the tensors that they met, and repeated on the
same ones. Whatever Python decides in between is decided once and for all, and to look at a value is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from wavenet.generation.drawing import Replay


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Callable[[], object]] = []

    def __torch_dispatch__(self, operator: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if operator in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            raise AssertionError(f"{operator} takes a value from the device, which no graph can do")
        schema = operator._schema
        if schema.is_mutable:
            self.noted.append(lambda: operator(*args, **kwargs))
            given = dict(zip((argument.name for argument in schema.arguments), args, strict=False)) | kwargs
            (written,) = (given[each.name] for each in schema.arguments if each.alias_info and each.alias_info.is_write)
            return written
        result = operator(*args, **kwargs)
        if not any(each.alias_info for each in schema.returns):  # what is no view gets a place of its own
            self.noted.append(lambda: _put(result, operator(*args, **kwargs)))
        return result


def _put(places: Any, values: Any) -> None:
    if isinstance(places, torch.Tensor):
        places.copy_(values)
        return
    for place, value in zip(places, values, strict=True):
        place.copy_(value)


def record(work: Callable[[], None]) -> Replay:
    """As `wavenet.generation.drawing.record_cuda_graph`."""
    with _Recorder() as recorder:
        work()

    def replay() -> None:
        for operation in recorder.noted:
            operation()

    return replay
