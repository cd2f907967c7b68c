"""What is inside a module, a container or a function's arguments, whatever their kind."""

from collections import deque

import torch
from torch import Tensor, nn

from helpers.hiddenlayer.untouched import slots_of


def unwrapped(module: nn.Module) -> nn.Module:
    """The module inside torch.compile's, DataParallel's and DistributedDataParallel's."""
    while True:
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        elif type(module).__module__.startswith("torch._dynamo"):
            module = module._modules["_orig_mod"]
        else:
            return module


def named_modules(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """As the method of that name, which an attribute may have shadowed; wrappers left out."""
    found, waiting = {}, [("", model)]
    while waiting:
        name, module = waiting.pop()
        if id(module) in found:
            continue
        found[id(module)] = (name, module)
        inside = unwrapped(module)
        if inside is not module:
            waiting.append((name, inside))
            continue
        inner = [(f"{name}.{key}" if name else key, m) for key, m in module._modules.items()]
        waiting.extend(reversed([(key, m) for key, m in inner if m is not None]))
    return list(found.values())


def parameters_of(model: nn.Module) -> list[nn.Parameter]:
    """A module's parameters, at any depth, each once."""
    found = {}
    for _, module in named_modules(model):
        found |= {id(p): p for p in module._parameters.values() if p is not None}
    return list(found.values())


def tensors(value: object) -> list[Tensor]:
    """The tensors in a value of any form: containers, dataclasses, caches, at any depth."""
    return [leaf for leaf in leaves(value, into_objects=True) if isinstance(leaf, Tensor)]


def shape_of(tensor: Tensor) -> tuple[int | None, ...]:
    """A tensor's shape, with None for a size that depends on values."""
    return tuple(size if isinstance(size, int) else None for size in tensor.shape)


def leaves(value: object, into_objects: bool = False) -> list:
    found, seen, waiting = [], {}, [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (str, bytes, int, float, type, nn.Module, Tensor, type(None))):
            if value is not None and (not isinstance(value, Tensor) or id(value) not in seen):
                found.append(value)
                seen[id(value)] = value
            continue
        if id(value) in seen:
            continue
        seen[id(value)] = value
        inside = []
        if isinstance(value, dict):
            inside += value.values()
        elif isinstance(value, (list, tuple, set, frozenset, deque)):
            inside += value
        elif not into_objects:
            found.append(value)
            continue
        inside += getattr(value, "__dict__", {}).values()
        inside += [getattr(value, slot, None) for slot in slots_of(type(value))]
        waiting.extend(reversed(inside))
    return found


_NUMBERS = (torch.SymInt, torch.SymFloat, torch.SymBool)


def flatten(values, found: list) -> None:
    """Add to ``found`` the tensors, and the numbers that depend on values, among arguments."""
    for value in values:
        if isinstance(value, (Tensor, *_NUMBERS)):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            if value and type(value) is not torch.Size:
                flatten(value, found)
        elif isinstance(value, dict):
            flatten(value.values(), found)
        elif isinstance(value, slice):
            flatten((value.start, value.stop, value.step), found)


def replace_tensors(value: object, replaced: dict[int, Tensor]) -> object:
    """Arguments with other tensors in them."""
    if isinstance(value, Tensor):
        return replaced.get(id(value), value)
    if isinstance(value, (list, tuple)):
        if not value or type(value) is torch.Size:
            return value
        parts = [replace_tensors(part, replaced) for part in value]
        if type(value) in (list, tuple):
            return type(value)(parts)
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {key: replace_tensors(part, replaced) for key, part in value.items()}
    if isinstance(value, slice):
        return slice(
            *(replace_tensors(part, replaced) for part in (value.start, value.stop, value.step))
        )
    return value
