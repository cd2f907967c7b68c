"""What a forward pass leaves behind in a model and in random states, undone."""

import contextlib
import functools
import random
import types
from collections import OrderedDict, deque
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

PLAIN = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType, Tensor)
"""What can't change, or isn't looked into."""

CONTAINERS = (dict, list, set, deque, types.FunctionType)
"""What is looked at of what a module's class holds."""

NOTHING = {}


@contextlib.contextmanager
def untouched(*holders: object) -> Iterator[None]:
    """Put everything that can be reached from ``holders`` back as it was, at any depth.

    That is the content of modules, objects, dicts, lists, sets and arrays, of the closures and
    globals that hooks and ``forward`` use, and the random states of Python, numpy and torch. A
    tensor's own numbers aren't looked at: who runs a model here doesn't write to them.
    """
    undo = _Undo()
    for holder in holders:
        undo.note(holder)
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    on_cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        for restore, *before in reversed(undo.found):
            restore(*before)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if on_cuda is not None:
            torch.cuda.set_rng_state_all(on_cuda)


@functools.cache
def slots_of(kind: type) -> tuple[str, ...]:
    """The names of what an object keeps elsewhere than in its ``__dict__``."""
    slots = [vars(cls).get("__slots__", ()) for cls in kind.__mro__]
    names = [name for some in slots for name in ((some,) if isinstance(some, str) else some)]
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


class _Undo:
    """Collects what is there, as (function that restores it, its arguments)."""

    def __init__(self) -> None:
        self.seen = {}  # by id; holds the object, so that its id stays its own
        self.found = []

    def note(self, first: object) -> None:
        waiting = [first]
        while waiting:  # not by recursion: a linked list may be long
            value = waiting.pop()
            if isinstance(value, PLAIN) or id(value) in self.seen:
                continue
            self.seen[id(value)] = value
            waiting.extend(self.look(value))

    def look(self, value: object) -> list:
        """Note what is in an object; return what is to be looked at next."""
        if isinstance(value, dict):
            content = dict(value) if value else NOTHING
            self.found.append((_restore_dict, value, content))
            return [part for part in content.values() if not isinstance(part, PLAIN)]
        if isinstance(value, (list, deque, set, bytearray)):
            content = list(value)
            self.found.append((_restore_items, value, content))
            return [] if isinstance(value, bytearray) else content
        if isinstance(value, (tuple, frozenset)):
            return list(value)
        if isinstance(value, np.ndarray):
            if value.flags.writeable:
                self.found.append((np.copyto, value, value.copy()))
            return []
        if isinstance(value, types.FunctionType):
            return self.look_into_function(value)
        if isinstance(value, types.MethodType):
            return [value.__self__, value.__func__]
        if isinstance(value, torch.Generator):
            self.found.append((value.set_state, value.get_state()))
        elif isinstance(value, random.Random):
            self.found.append((value.setstate, value.getstate()))
        elif isinstance(value, np.random.Generator):
            self.found.append((setattr, value.bit_generator, "state", value.bit_generator.state))
        return self.look_into_object(value)

    def look_into_object(self, value: object) -> list:
        kind, inside = type(value), []
        for slot in slots_of(kind):
            if hasattr(value, slot):
                held = getattr(value, slot)
                self.found.append((_restore_slot, value, slot, held))
                inside.append(held)
        if isinstance(value, nn.Module):
            for cls in kind.__mro__:
                inside += self.look_into_class(cls)
        attributes = getattr(value, "__dict__", None)
        if isinstance(attributes, dict):
            inside.append(attributes)
        return inside

    def look_into_class(self, kind: type) -> list:
        """What a module's class keeps for all its modules, and its functions."""
        if id(kind) in self.seen or kind.__module__.startswith(("torch.", "builtins")):
            return []
        self.seen[id(kind)] = kind
        before = {k: v for k, v in vars(kind).items() if not k.startswith("__")}
        self.found.append((_restore_class, kind, before))
        return [v for v in before.values() if isinstance(v, CONTAINERS)]

    def look_into_function(self, function: types.FunctionType) -> list:
        """A function's closure, and of its globals those that it names."""
        inside = [function.__defaults__, function.__kwdefaults__]
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # an empty one
                self.found.append((setattr, cell, "cell_contents", cell.cell_contents))
                inside.append(cell.cell_contents)
        if not (function.__module__ or "").startswith("torch."):
            space = function.__globals__
            for name in function.__code__.co_names:
                if name in space and not isinstance(space[name], types.FunctionType):
                    self.found.append((space.__setitem__, name, space[name]))
                    if isinstance(space[name], (dict, list, set, deque)):
                        inside.append(space[name])
        return inside


def _restore_dict(value: dict, content: dict) -> None:
    if not value and not content:
        return
    pairs = zip(value.items(), content.items(), strict=False)
    if len(value) == len(content) and all(a is c and b is d for (a, b), (c, d) in pairs):
        return
    kind = OrderedDict if isinstance(value, OrderedDict) else dict  # past what a subclass does
    kind.clear(value)
    for key, part in content.items():
        kind.__setitem__(value, key, part)


def _restore_items(value: list | deque | set | bytearray, content: list) -> None:
    if len(value) != len(content) or any(a is not b for a, b in zip(value, content, strict=True)):
        value.clear()
        (value.update if isinstance(value, set) else value.extend)(content)


def _restore_slot(value: object, slot: str, held: object) -> None:
    with contextlib.suppress(AttributeError):  # one that can't be written wasn't
        if getattr(value, slot, None) is not held:
            object.__setattr__(value, slot, held)


def _restore_class(kind: type, before: dict) -> None:
    now = {k: v for k, v in vars(kind).items() if not k.startswith("__")}
    for name in now.keys() - before.keys():
        delattr(kind, name)
    for name, value in before.items():
        if now.get(name, kind) is not value:
            setattr(kind, name, value)
