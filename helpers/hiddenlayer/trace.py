"""One run of a model, as the steps that it took, under their ONNX names."""

import contextlib
import io
import logging
import operator
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

NAMES = {
    "adaptive_avg_pool": "AveragePool",
    "adaptive_max_pool": "MaxPool",
    "addmm": "Gemm",
    "avg_pool": "AveragePool",
    "batch_norm": "BatchNormalization",
    "bmm": "MatMul",
    "cat": "Concat",
    "chunk": "Split",
    "clamp": "Clip",
    "feature_dropout": "Dropout",
    "group_norm": "GroupNormalization",
    "gru": "GRU",
    "hardsigmoid": "HardSigmoid",
    "hardswish": "HardSwish",
    "hardtanh": "Clip",
    "index": "Gather",
    "instance_norm": "InstanceNormalization",
    "layer_norm": "LayerNormalization",
    "linear": "Gemm",
    "lstm": "LSTM",
    "matmul": "MatMul",
    "max_pool_with_indices": "MaxPool",
    "mean": "ReduceMean",
    "mm": "MatMul",
    "permute": "Transpose",
    "rnn_relu": "RNN",
    "rnn_tanh": "RNN",
    "scaled_dot_product_attention": "Attention",
    "select": "Gather",
    "split_with_sizes": "Split",
    "stack": "Concat",
    "sum": "ReduceSum",
    "t": "Transpose",
    "unbind": "Split",
    "unflatten": "Reshape",
    "upsample_bicubic": "Resize",
    "upsample_bilinear": "Resize",
    "upsample_nearest": "Resize",
    "view": "Reshape",
}
"""ONNX's names for torch's operators, where they aren't torch's own in CamelCase.

Keys are without leading and trailing underscores and without "2d" and its like.
"""

ATTRIBUTES = {
    "kernel_size": "kernel_shape",
    "stride": "strides",
    "padding": "pads",
    "dilation": "dilations",
    "groups": "group",
}
"""ONNX's names for the arguments of convolutions and pools."""

UNSEEN = {"alias", "clone", "contiguous", "detach", "lift_fresh_copy", "to", "to_copy", "type_as"}
"""Operators that hand on the same numbers, and so are no step worth drawing."""

BLOCKS = {"MultiheadAttention": "MultiHeadAttention"}
"""Modules that read best as one step, though they run many operators."""


class GraphError(RuntimeError):
    """A graph can't be built or drawn; the message says of what, why, and what to do instead."""


@dataclass
class Step:
    """One operator that ran.

    ``id`` is the path of modules that it ran in and a number, as in
    ``Net/Sequential[features]/Conv2d[0]/outputs/3``. ``shape`` is that of its result, None for
    several results; a size that depends on values is None too. ``reads`` has the ids of the steps
    whose results it reads, and the shapes of those.
    """

    id: str
    name: str
    shape: tuple[int, ...] | None
    attributes: dict
    reads: dict[str, tuple[int, ...] | None]


def trace(model: nn.Module, args: tuple, kwargs: dict) -> list[Step]:
    """The operators between a model's inputs and its outputs, in the order they run in.

    Left out: what doesn't depend on an input (weights, masks), what no output depends on, and
    what hands on its input unchanged (``detach``, dropout in evaluation mode).

    The model, its modes, gradients and hooks, and all random states stay as they are. Raises
    GraphError if the model can't be followed.
    """
    program = _export(model, args, kwargs)
    follow = _Follow()
    inputs = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in inputs:
            follow.sources[node] = {}
    results = follow.through(program.graph_module)
    needed = {key for result in results for key in follow.read(result) or ()}
    for step in reversed(follow.steps.values()):
        if step.id in needed:
            needed.update(step.reads)
    return [step for step in follow.steps.values() if step.id in needed]


class _Follow:
    """Goes through a program once, and knows for each of its tensors which steps made it.

    An ``fx.Node`` stands for a tensor. Most of the state is for memory written in place: after
    ``y = x[:, 0]; y.add_(1)``, reading ``x`` means reading what the addition made.
    """

    def __init__(self) -> None:
        self.steps = {}  # by id
        self.sources = {}  # tensor -> {id of a step that made it: shape}; empty for an input
        self.same = {}  # another name for a tensor -> the tensor
        self.base = {}  # view -> (tensor whose memory it shows, number of writes before the view)
        self.writes = {}  # tensor -> [(id of the step that wrote, the view that it wrote to)]
        self.parts = {}  # an inlined part of the program -> its results
        self.blocks = {}  # a call of one of BLOCKS -> its step

    def through(self, module: fx.GraphModule) -> list[fx.Node]:
        """Follow a module's operators; return its results."""
        for node in module.graph.nodes:
            if node.op == "output":
                return list(node.args[0])
            if node.op == "call_function":
                if str(node.target).startswith("wrap_with_"):  # under no_grad or autocast
                    self.inline(module, node)
                elif node.target is operator.getitem:  # one of several results
                    self.pick(*node.args, node)
                else:
                    self.run(node)
        return []

    def inline(self, module: fx.GraphModule, node: fx.Node) -> None:
        at, part = next(
            (i, getattr(module, a.target))
            for i, a in enumerate(node.args)
            if isinstance(a, fx.Node) and a.op == "get_attr"
        )
        inputs = part.graph.find_nodes(op="placeholder")
        self.same |= {
            inside: self.same.get(outside, outside)
            for inside, outside in zip(inputs, node.args[at + 1 :], strict=True)
            if isinstance(outside, fx.Node)
        }
        self.parts[node] = self.through(part)

    def pick(self, several: fx.Node, index: int, node: fx.Node) -> None:
        if several in self.parts:
            part = self.parts[several][index]
            self.same[node] = self.same.get(part, part)
        elif several in self.sources:
            self.sources[node] = dict.fromkeys(self.sources[several], _shape(node))
            if several in self.base:
                self.base[node] = self.base[several]

    def run(self, node: fx.Node) -> None:
        schema = getattr(node.target, "_schema", None)
        arguments = schema.arguments if schema else []
        given = dict(zip([a.name for a in arguments], node.args, strict=False)) | node.kwargs
        reads = [self.read(tensor) for tensor in node.all_input_nodes]
        depends = any(made_by is not None for made_by in reads)
        reads = {key: shape for made_by in reads for key, shape in (made_by or {}).items()}

        name = _name(node)
        is_step = name and not (name.endswith("Dropout") and given["train"] is False)
        made_by = dict.fromkeys(reads, _shape(node))
        if depends and is_step:
            made_by = {self.step(node, name, given, reads): _shape(node)}
        if depends:
            self.sources[node] = made_by
        for argument in arguments:
            tensor = given.get(argument.name)
            if argument.alias_info and isinstance(tensor, fx.Node):
                tensor = self.same.get(tensor, tensor)
                root, _ = self.base.get(tensor, (tensor, 0))
                writes = self.writes.setdefault(root, [])
                if not argument.alias_info.is_write:
                    self.base[node] = (root, len(writes))
                else:
                    self.same[node] = tensor
                    if depends:
                        writes.append((made_by, tensor))

    def step(self, node: fx.Node, name: str, given: dict, reads: dict) -> str:
        """Add a step, or a part of a block's only step; return its id."""
        scope, call, block = _scope(node)
        if call in self.blocks:
            step = self.blocks[call]
            step.shape = _shape(node)
            step.reads |= {key: s for key, s in reads.items() if key != step.id}
            return step.id
        step = Step(f"{scope}/outputs/{len(self.steps)}", name, _shape(node), {}, reads)
        if block:
            step.name = block
            self.blocks[call] = step
        elif "kernel_size" in given or name.startswith("Conv"):
            step.attributes = {ATTRIBUTES[key]: given[key] for key in ATTRIBUTES if key in given}
            if "weight" in given:
                step.attributes["kernel_shape"] = list(_shape(given["weight"])[2:])
        self.steps[step.id] = step
        return step.id

    def read(self, tensor: fx.Node) -> dict | None:
        """Ids of the steps that made what is now in a tensor; None if no input is in it."""
        if not isinstance(tensor, fx.Node):
            return None
        shape = _shape(tensor)
        tensor = self.same.get(tensor, tensor)
        root, before = self.base.get(tensor, (tensor, 0))
        since = self.writes.get(root, [])[before:]
        if not since:
            return self.sources.get(tensor)
        made_by, written = since[-1]
        made_by = dict.fromkeys(made_by, shape)
        if tensor in (root, written):
            return made_by
        return (self.sources.get(tensor) or {}) | made_by


def _shape(node: fx.Node) -> tuple[int, ...] | None:
    value = node.meta.get("val")
    if not isinstance(value, Tensor):
        return None
    return tuple(size if isinstance(size, int) else None for size in value.shape)


def _scope(node: fx.Node) -> tuple[str, str | None, str | None]:
    """The path of modules that an operator runs in; if one of BLOCKS is on it, the path down to
    there, that module's call, and its name."""
    scope, above = "", ""
    for call, (path, kind) in (node.meta.get("nn_module_stack") or {}).items():
        kind = str(kind).rpartition(".")[2].rstrip("'>")
        scope += f"/{kind}[{path.removeprefix(above).lstrip('.')}]" if scope else kind
        above = path
        if kind in BLOCKS:
            return scope, call, BLOCKS[kind]
    return scope, None, None


def _name(node: fx.Node) -> str:
    """The ONNX name of a torch operator, "" for one that is no step."""
    schema = getattr(node.target, "_schema", None)  # or a Python function, on numbers
    word = schema.name if schema else getattr(node.target, "__name__", str(node.target))
    word = re.sub("[123]d", "", word.rpartition("::")[2].strip("_"))
    if word in UNSEEN:
        return ""
    shape = _shape(node)
    if word == "adaptive_avg_pool" and shape and set(shape[2:]) == {1}:
        return "GlobalAveragePool"
    return NAMES.get(word) or "".join(part.capitalize() for part in word.split("_"))


# ---- running the model without computing anything ----


def _export(model: nn.Module, args: tuple, kwargs: dict) -> torch.export.ExportedProgram:
    """What torch.export makes of the model, quietly; GraphError if it makes nothing of it."""
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise GraphError(
            f"{type(model).__name__} can't be drawn, because it is compiled to TorchScript: draw "
            "the Python module that it was made from"
        )
    try:
        with _quiet(), _untouched(model):
            return torch.export.export(model, args, kwargs, strict=False)
    except Exception as error:
        inputs = ", ".join(map(_describe, tree_leaves((args, kwargs)))) or "no inputs"
        raise GraphError(
            f"{type(model).__name__} can't be drawn for {inputs}: {_explain(error)}"
        ) from None


def _describe(value: object) -> str:
    if isinstance(value, torch.Tensor):
        shape = "x".join(map(str, value.shape)) or "scalar"
        return f"{str(value.dtype).removeprefix('torch.')} {shape}"
    return repr(value) if isinstance(value, (int, float, str, bool)) else type(value).__name__


def _explain(error: Exception) -> str:
    """One sentence on why a model couldn't be followed, and on what to do."""
    kind = type(error).__name__
    cause = re.split(r"\n|\. ", str(error).strip() or kind)[0].rstrip(".:")
    if "DataDependent" in kind or "data-dependent" in cause:
        return (
            "it branches or loops on the values of a tensor, so it has no one graph; draw the "
            "parts without the branch, or draw one run of it with torchviz.make_dot"
        )
    if type(error).__module__ == "builtins":
        return (
            f"it raised {kind} ({cause}); check that it runs with inputs of these shapes and "
            "dtypes, and if it does, draw its submodules one by one"
        )
    return (
        f"torch.export raised {kind} ({cause}); draw its submodules one by one, or draw one run "
        "of it with torchviz.make_dot"
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """torch.export explains itself at length, in logs and warnings; an error says it all."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


@contextlib.contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Undo what a forward pass leaves behind in its modules: a counter, a kept activation."""
    before = [
        (holder, dict(holder))
        for module in model.modules()
        for holder in (vars(module), module._parameters, module._buffers)
    ]
    try:
        yield
    finally:
        for holder, content in before:
            holder.clear()
            holder.update(content)
