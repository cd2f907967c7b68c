"""One run of a model, as the steps that it took: what ran, in which module, on whose results."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.utils.parametrize import ParametrizationList
from torch.overrides import TorchFunctionMode

from helpers.hiddenlayer.inside import (
    flatten,
    leaves,
    named_modules,
    parameters_of,
    replace_tensors,
    shape_of,
    tensors,
    unwrapped,
)
from helpers.hiddenlayer.memory import Memory, is_wrapped, storage_of
from helpers.hiddenlayer.operators import OVERWRITES, WEIGHTED, Operator, describe, is_basic
from helpers.hiddenlayer.running import (
    as_python,
    describe_input,
    explain,
    initialized,
    quiet,
)
from helpers.hiddenlayer.stand_ins import WAYS
from helpers.hiddenlayer.untouched import untouched


class GraphError(RuntimeError):
    """A graph can't be built or drawn; the message says of what, why, and what to do instead."""


@dataclass(eq=False, slots=True)
class Call:
    """One call of a module.

    ``path`` is that of the calls above it, ``Net/Sequential[features]/Conv2d[0]``, ``name`` the
    module's own, ``features.0``, and ``depth`` the number of calls above it.
    """

    module: nn.Module
    above: "Call | None"
    path: str
    name: str
    depth: int
    touched: bool = False  # by an input, or what was made of one
    result: object = None

    def chain(self) -> Iterator["Call"]:
        """This call and those above it, up to the model's."""
        call = self
        while call is not None:
            yield call
            call = call.above


@dataclass(eq=False, slots=True)
class Step:
    """One operator that ran.

    ``shape`` is that of its result, None for several results; a size that depends on values is
    None too. ``reads`` has the steps whose results it reads, and the shapes of those.
    """

    name: str
    call: Call | None
    shape: tuple[int | None, ...] | None
    attributes: dict
    reads: dict["Step", tuple | None]
    weights: set["Step"]  # those of reads that came in as what a layer has learned
    parameters: list[nn.Parameter]  # the model's, among the arguments
    drawn: bool = False


INPUT = Step("Input", None, None, {}, {}, set(), [], True)
"""In place of a step, for what the caller handed in."""


@dataclass(eq=False, slots=True)
class Run:
    """The steps of one run of ``model``, in order.

    ``one_of_several`` says that Python looked at numbers that depend on an input, so that
    another input may take another way.
    """

    model: nn.Module
    steps: list[Step]
    one_of_several: bool


def trace(model: nn.Module, args: tuple, kwargs: dict) -> Run:
    """Follow ``model`` through one run on these inputs, without computing anything if possible.

    First it runs on tensors that have a shape and no numbers; if it needs more, on torch's fake
    tensors, which also know of sizes that depend on values; and at last for real, on copies. The
    model, what its ``forward`` touches, its inputs and all random states stay as they are.

    A step belongs to the run if it depends on an input and an output depends on it. A layer that
    ran belongs to it too: a module that, from call to return, computed with a parameter of its
    own and with nothing that depends on an input. So a position embedding does, and a table of
    constants doesn't; nor does what only prepares the weight of a layer.

    Raises GraphError if the model can't be run at all.
    """
    model = unwrapped(model)
    if any(isinstance(module, torch.jit.ScriptModule) for _, module in named_modules(model)):
        raise GraphError(
            f"{type(model).__name__} can't be drawn, because it is compiled to TorchScript: draw "
            "the Python module that it was made from"
        )
    for way in WAYS:
        try:
            with quiet(), untouched(model, args, kwargs), as_python():
                followed = initialized(model, args, kwargs)
                return _Follower(followed, (args, kwargs), way()).run(args, kwargs)
        except Exception as error:
            if way is WAYS[-1]:
                inputs = ", ".join(map(describe_input, leaves((*args, *kwargs.values()))))
                raise GraphError(
                    f"{type(model).__name__} can't be drawn for {inputs or 'no inputs'}: "
                    f"{explain(error)}"
                ) from None
    return None


# ---- following ----


class _Known:
    """What is known of a tensor: which steps made it and when, and what to compute with."""

    __slots__ = ("made_by", "memory", "original", "stand_in", "tensor", "time", "view")

    def __init__(self, tensor: Tensor, made_by: tuple, time: int, memory: Memory, view: bool):
        self.tensor, self.made_by, self.time = tensor, made_by, time
        self.memory, self.view = memory, view
        self.original = False  # whether it was there before the run
        self.stand_in = None

    def read(self, region: Tensor | None = None) -> tuple[Step, ...]:
        """The steps that made what is now in the tensor, or in a region of it."""
        if not self.memory.written_since(self.time):
            return self.made_by
        made_by, all_of_it = self.memory.writers_of(
            self.tensor if region is None else region, self.time
        )
        return made_by if all_of_it and not self.view else (*self.made_by, *made_by)


class _Follower(TorchFunctionMode):
    """Sees each of torch's functions that a model calls, and keeps book of who made what.

    A function never gets one of the caller's tensors, but its stand-in. What a model makes of
    nothing, as with ``torch.arange``, it really makes; such tensors stay real among themselves,
    so that the model can look at their numbers, and are replaced where they meet a stand-in.
    """

    def __init__(self, model: nn.Module, inputs: object, way: object) -> None:
        super().__init__()
        self.model, self.way = model, way
        self.names = {id(module): name for name, module in named_modules(model)}
        self.inputs = {id(tensor) for tensor in tensors(inputs)}
        self.device = next((t.device for t in tensors(inputs)), None)  # where it is said to run
        self.known = {}  # by id of a tensor
        self.memories = {}  # by address of a storage
        self.operators = {}  # by function
        self.steps, self.call, self.time = [], None, 0
        self.symbols = {}  # a number that depends on values -> the step that it comes from
        self.looked_at = set()  # steps whose results' numbers Python got
        self.before = {}  # by id, the model's tensors, once as_arrays has something
        self.as_arrays = {}  # of these, those that it got as arrays, with their shapes

    def run(self, args: tuple, kwargs: dict) -> Run:
        with contextlib.ExitStack() as stack:
            if not self.way.computes:
                stack.enter_context(torch.no_grad())
            stack.callback(register_module_forward_pre_hook(self.enter).remove)
            stack.callback(register_module_forward_hook(self.leave, always_call=True).remove)
            with self:
                result = self.model(*args, **kwargs)
        return self.finish(result)

    def enter(self, module: nn.Module, _: tuple) -> None:
        if unwrapped(module) is not module:
            return
        above, kind = self.call, type(module).__name__
        name = self.names.get(id(module), "")
        path, depth = kind, 0
        if above is not None:
            inner = name.removeprefix(f"{above.name}." if above.name else "")
            path = f"{above.path}/{kind}[{inner}]" if inner else f"{above.path}/{kind}"
            depth = above.depth + 1
        self.call = Call(module, above, path, name, depth)

    def leave(self, module: nn.Module, _: tuple, result: object) -> None:
        for call in self.call.chain() if self.call else ():
            if call.module is module:
                call.result, self.call = result, call.above
                return

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        operator = self.operators.get(function)
        if operator is None:
            operator = self.operators[function] = describe(function)
        if operator.aside:
            value = function(*args, **kwargs)
            if operator.raw == "device" and value.type == "meta" and self.device is not None:
                return self.device
            return value
        if operator.raw == "__iter__":
            return iter(self.__torch_function__(Tensor.unbind, types, (args[0],)))
        if operator.sets:  # x.data = y
            return self.set(operator, function, *args)
        given = []
        flatten((args, kwargs), given)
        known = [self.know(tensor) for tensor in given if isinstance(tensor, Tensor)]
        if operator.values and known and all(map(self.may_be_looked_at, known)):
            return function(*args, **kwargs)
        if self.way.computes and (operator.values or operator.sized):
            for one in known:
                self.looked_at.update(one.read())
                if operator.raw in ("numpy", "__array__"):
                    modules = [vars(module) for _, module in named_modules(self.model)]
                    self.before = {id(t): t for t in tensors(modules)}
                    self.as_arrays |= dict.fromkeys(one.read(), tuple(one.tensor.shape))
        stands, real = self.choose(known)
        if any(one.tensor is not stand for one, stand in zip(known, stands, strict=True)):
            replaced = {id(k.tensor): stand for k, stand in zip(known, stands, strict=True)}
            args, kwargs = replace_tensors(args, replaced), replace_tensors(kwargs, replaced)
        versions = [_version(tensor) for tensor in stands]
        self.time += 1
        if real:
            result = function(*args, **kwargs)
        else:
            result = self.way.call(operator, function, args, kwargs)
        written = [i for i, before in enumerate(versions) if _version(stands[i]) != before]
        made = []
        flatten((result,), made)
        if made or written:
            numbers = [number for number in given if not isinstance(number, Tensor)]
            self.note(operator, args, kwargs, known, stands, numbers, written, made)
        return result

    # -- whose tensors --

    def know(self, tensor: Tensor) -> _Known:
        known = self.known.get(id(tensor))
        if known is not None:
            return known
        if is_wrapped(tensor):
            inside = self.know(torch._C._functorch.get_unwrapped(tensor))
            known = _Known(tensor, inside.read(), self.time, inside.memory, True)
        else:
            memory = self.memory_of(tensor)
            known = _Known(tensor, memory.made_by, memory.time, memory, False)
        self.known[id(tensor)] = known
        if id(tensor) in self.inputs:
            known.made_by = (INPUT,)
        elif self.as_arrays and id(tensor) not in self.before and not known.memory.ours:
            step = Step(
                "FromNumpy", self.call, shape_of(tensor), {}, dict(self.as_arrays), set(), []
            )
            self.steps.append(step)
            known.made_by = (step,)
            return known
        if not known.memory.ours and not is_wrapped(tensor):
            known.original = True
            self.device = self.device or tensor.device
            self.replace(known)
        return known

    def memory_of(self, tensor: Tensor) -> Memory:
        key = storage_of(tensor)
        if key is None:
            return Memory()
        return self.memories.setdefault(key, Memory())

    def replace(self, known: _Known) -> Tensor:
        if known.stand_in is None:
            known.stand_in = self.way.stand_in(known.tensor)
            self.known[id(known.stand_in)] = known
            self.memories[storage_of(known.stand_in)] = known.memory
        return known.stand_in

    def choose(self, known: list[_Known]) -> tuple[list[Tensor], bool]:
        """The tensors to compute with, and whether their numbers are real."""
        if self.way.computes:
            return [one.stand_in if one.original else one.tensor for one in known], True
        has = self.way.has
        if not any(k.original or k.memory.changed or has(k.tensor) for k in known):
            return [one.tensor for one in known], True
        return [
            one.tensor if not one.original and has(one.tensor) else self.replace(one)
            for one in known
        ], False

    def may_be_looked_at(self, known: _Known) -> bool:
        """Whether a tensor's numbers are the real ones, and depend on no input."""
        if self.way.computes or known.memory.changed or INPUT in known.made_by:
            return False
        return known.original or not self.way.has(known.tensor)

    def set(self, operator: Operator, function: Callable, target: Tensor, value: object) -> None:
        known = self.know(target)
        stand = known.stand_in if known.original else target
        if isinstance(value, Tensor):
            new = self.know(value)
            (value,), _ = self.choose([new])
            if operator.raw == "data":
                known.made_by, known.time = new.read(), self.time
                self.memories[storage_of(value)] = known.memory = new.memory
        function(stand, value)

    # -- keeping book --

    def note(
        self,
        operator: Operator,
        args: tuple,
        kwargs: dict,
        known: list[_Known],
        stands: list[Tensor],
        numbers: list,
        written: list[int],
        made: list,
    ) -> None:
        """What a function read, made and wrote."""
        region = operator.raw == "__setitem__" and is_basic(args[1])
        out = {id(tensor) for tensor in tensors(kwargs["out"])} if "out" in kwargs else set()
        if region or operator.raw in OVERWRITES:
            out.add(id(stands[0]))
        data = None
        if operator.word in WEIGHTED:
            data = args[0] if args else kwargs.get("input")
        results = [tensor for tensor in made if isinstance(tensor, Tensor)]
        view = results[0] if len(results) == 1 and id(results[0]) not in self.known else None
        viewed = None if view is None else self.memories.get(storage_of(view))
        reads, weights, parameters = {}, set(), []
        for one, stand in zip(known, stands, strict=True):
            if operator.shaped or (id(stand) in out and stand is not data):
                continue
            if one.original and isinstance(one.tensor, nn.Parameter):
                parameters.append(one.tensor)
            for step in one.read(view if one.memory is viewed else None):
                reads.setdefault(step, shape_of(stand))
                if data is not None and stand is not data:
                    weights.add(step)
        for number in numbers:
            reads |= {self.symbols[s]: () for s in _symbols(number) if s in self.symbols}
        if operator.from_array and not known:
            reads |= self.as_arrays
        if operator.unchanged(args, kwargs):
            made_by = tuple(reads)
        else:
            shape = ()
            if results:
                shape = shape_of(results[0]) if len(results) == 1 else None
            elif written:
                shape = shape_of(stands[written[0]])
            name, attributes = operator.name(args, shape), operator.attributes(args, kwargs)
            step = Step(name, self.call, shape, attributes, reads, weights, parameters)
            self.steps.append(step)
            made_by = (step,)
        for number in made:
            if not isinstance(number, Tensor):
                self.symbols |= dict.fromkeys(_symbols(number), made_by[0])
        if out and written and not region and operator.raw not in OVERWRITES:
            written = [i for i in written if id(stands[i]) in out]
        memories = set()
        for i in written:
            one, stand = known[i], stands[i]
            if one.memory in memories:  # views of one memory count its changes together
                continue
            memories.add(one.memory)
            one.memory.changed |= stand is not one.tensor
            if region:
                one.memory.write(self.time, made_by, stand[args[1]])
            else:
                one.memory.write(self.time, made_by, stand)
                one.made_by, one.time, one.view = made_by, self.time, False
        for tensor in results:
            if id(tensor) not in self.known:
                memory = self.memories.get(storage_of(tensor))
                view = memory is not None
                if not view:
                    memory = self.memory_of(tensor)
                    memory.ours, memory.made_by, memory.time = True, made_by, self.time
                self.known[id(tensor)] = _Known(tensor, made_by, self.time, memory, view)

    def finish(self, result: object) -> Run:
        """Of all that was noted, what belongs to the run."""
        outputs = [self.know(tensor) for tensor in tensors(result)]
        needed = {step for one in outputs for step in one.read()}
        depends = {INPUT}
        for step in self.steps:
            if not depends.isdisjoint(step.reads):
                depends.add(step)
                for call in step.call.chain() if step.call else ():
                    if call.touched:
                        break
                    call.touched = True
        for step in self.steps:
            step.reads = {
                before: shape
                for before, shape in step.reads.items()
                if before.drawn and (before in depends or before not in step.weights)
            }
            step.drawn = bool(step.reads) or _is_layer(step)
            step.reads.pop(INPUT, None)
        if not outputs:
            needed.update(self.steps)
        for step in reversed(self.steps):
            if step in needed:
                needed.update(step.reads)
        steps = [step for step in self.steps if step.drawn and step in needed]
        return Run(self.model, steps, not depends.isdisjoint(self.looked_at))


def _is_layer(step: Step) -> bool:
    """Whether a step that depends on no input belongs to a layer that ran."""
    calls = list(step.call.chain()) if step.call and step.parameters else []
    if any(isinstance(call.module, ParametrizationList) for call in calls):
        return False
    read = {id(parameter) for parameter in step.parameters}
    return any(
        not call.touched and not read.isdisjoint(map(id, parameters_of(call.module)))
        for call in calls
    )


def _version(tensor: Tensor) -> int:
    """How often the tensor's memory was written to."""
    try:
        return tensor._version
    except RuntimeError:  # made in inference mode, which doesn't count
        return -1


def _symbols(number: object) -> set:
    return number.node.expr.free_symbols
