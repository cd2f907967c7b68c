"""A device that isn't here: tensors that only work with each other, as on a graphics card.

They say that they are on the meta device. Inside ``with elsewhere():``, what is moved there keeps
its numbers and is counted with, so a training runs and learns; what is mixed with a tensor on the
processor, or handed to NumPy without ``.cpu()``, is refused as a graphics card refuses it.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("meta")
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
"""The operations that lead from one device to another."""


class There(torch.Tensor):
    """A tensor elsewhere, around the one here that has its numbers."""

    def __new__(cls, kept: torch.Tensor) -> "There":
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            kept.size(),
            strides=kept.stride(),
            storage_offset=kept.storage_offset(),
            dtype=kept.dtype,
            device=DEVICE,
        )
        made.kept = kept
        return made

    def __init__(self, kept: torch.Tensor) -> None: ...

    def tolist(self) -> object:  # the one way into Python that PyTorch keeps from subclasses
        return self.kept.tolist()

    def __repr__(self) -> str:
        return f"There({self.kept})"

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


class _Elsewhere(TorchDispatchMode):
    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


def _run(operation, args, kwargs):
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, There)]
    here = [tensor for tensor in tensors if not isinstance(tensor, There) and tensor.dim()]
    if there and here and operation not in COPIES:
        raise RuntimeError(
            f"{operation}: Expected all tensors to be on the same device, but found at least two"
        )
    to = kwargs.get("device")
    leads_there = bool(there) if to is None else torch.device(to) == DEVICE
    if operation is torch.ops.aten.copy_.default:
        leads_there = isinstance(args[0], There)
    if to is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    args, kwargs = tree_map_only(There, lambda tensor: tensor.kept, (args, kwargs))
    if not torch.is_inference_mode_enabled():
        return _wrapped(operation(*args, **kwargs), leads_there, there)
    with torch.inference_mode(False), torch.no_grad():  # what is made in that mode stays in it
        return _wrapped(operation(*args, **kwargs), leads_there, there)


def _wrapped(result, leads_there, there):
    if not leads_there:
        return result
    known = {id(tensor.kept): tensor for tensor in there}  # what was written in place
    return tree_map_only(torch.Tensor, partial(_moved, known), result)


def _moved(known: dict[int, There], tensor: torch.Tensor) -> There:
    return known[id(tensor)] if id(tensor) in known else There(tensor)


@contextmanager
def elsewhere() -> Iterator[torch.device]:
    """Make ``DEVICE`` a device that counts."""
    optimizer = importlib.import_module("torch.optim.optimizer")
    name = "_get_fused_kernels_supported_devices"
    fused = [*getattr(optimizer, name)(), DEVICE.type]
    with mock.patch.object(optimizer, name, lambda: fused), _Elsewhere():
        yield DEVICE
