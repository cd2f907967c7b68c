"""Who wrote where in a tensor's memory."""

import numpy as np
import torch
from torch import Tensor


class Memory:
    """A piece of memory that tensors share, and what was written to it since it was made."""

    __slots__ = ("changed", "made_by", "ours", "time", "writes")

    def __init__(self) -> None:
        self.made_by, self.time = (), 0  # the steps that made it, and when
        self.writes = []  # (time, steps, the tensor that was written), in order
        self.ours = False  # whether it was made during the run
        self.changed = False  # whether a stand-in was written to, so that the original is stale

    def write(self, time: int, steps: tuple, tensor: Tensor) -> None:
        self.writes.append((time, steps, tensor))

    def written_since(self, time: int) -> bool:
        return bool(self.writes) and self.writes[-1][0] > time

    def writers_of(self, tensor: Tensor, since: int) -> tuple[tuple, bool]:
        """Who wrote what is in a tensor, and whether nothing is left of what was there before."""
        found = {}
        for time, steps, written in reversed(self.writes):
            if time <= since:
                break
            if overlap(written, tensor):
                found |= dict.fromkeys(steps)
                if covers(written, tensor):
                    return tuple(found), True
        return tuple(found), False


def storage_of(tensor: Tensor) -> int | None:
    """The address of a tensor's memory; None for one that has no memory of its own."""
    while is_wrapped(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):
        return None


def is_wrapped(tensor: Tensor) -> bool:
    """Whether it is one of vmap's or grad's, which stand for other tensors."""
    return torch._C._functorch.is_functorch_wrapped_tensor(tensor)


class _Place:
    """A tensor's place in memory, for numpy, which is never told to look at what is there."""

    def __init__(self, tensor: Tensor) -> None:
        size = tensor.element_size()
        self.__array_interface__ = {
            "data": (4096 + tensor.storage_offset() * size, True),
            "shape": tuple(tensor.shape),
            "strides": tuple(step * size for step in tensor.stride()),
            "typestr": f"|V{size}",
            "version": 3,
        }


def overlap(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one memory have an element in common; if in doubt, yes."""
    if one is other:
        return True
    try:
        return np.shares_memory(np.asarray(_Place(one)), np.asarray(_Place(other)), 100_000)
    except (RuntimeError, TypeError):  # too hard a puzzle, or sizes that depend on values
        return True


def covers(one: Tensor, other: Tensor) -> bool:
    """Whether one of two tensors that overlap has all of the other's elements; if in doubt, no."""
    if one is other:
        return True
    try:
        places = [(t.storage_offset(), tuple(t.shape), t.stride()) for t in (one, other)]
        (start, stop), (first, last) = _span(one), _span(other)
        dense = one.numel() * one.element_size() == stop - start
        return places[0] == places[1] or (dense and start <= first and last <= stop)
    except RuntimeError:
        return False


def _span(tensor: Tensor) -> tuple[int, int]:
    size, start = tensor.element_size(), tensor.storage_offset()
    reach = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return start * size, (start + reach + 1) * size
