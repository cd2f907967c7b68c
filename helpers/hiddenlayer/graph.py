"""hiddenlayer's Graph, and a ``build_graph`` that works.

hiddenlayer 0.3 (https://github.com/waleedka/hiddenlayer) asks for a part of torch that is gone;
here its Graph is filled from the steps of ``helpers.hiddenlayer.trace`` instead. The installed
package stays as it is, for whoever imports it directly.
"""

import copy
import html
import shutil
from collections.abc import Sequence
from pathlib import Path

import hiddenlayer.graph
from graphviz import Digraph
from hiddenlayer import transforms
from hiddenlayer.graph import THEMES, Node
from torch import nn

from helpers.files import replacing
from helpers.hiddenlayer.inside import parameters_of, shape_of, tensors
from helpers.hiddenlayer.trace import Call, GraphError, Run, trace

__all__ = ["THEMES", "Graph", "GraphError", "Node", "build_graph"]

FRAMEWORK_TRANSFORMS = [
    transforms.Rename(op="^Gemm$", to="Linear"),
    transforms.Rename(op="^BatchNormalization$", to="BatchNorm"),
]
"""ONNX's names for two layers, turned into those that people and hiddenlayer's patterns use."""

ONE_OF_SEVERAL = "one way of several: forward looks at the numbers in a tensor"
"""What a picture says if another input of the same shape may give another one."""

LARGE = 300
"""Edges from which on Graphviz is told to settle for a rougher, much quicker layout."""


class ModuleNode(Node):
    """A module drawn as one box: ``names`` of the modules that it stands for, ``parameters`` of
    each of them, and what is ``inside``, by which two modules are alike."""

    def __init__(self, key: str, call: Call) -> None:
        first = next(iter(tensors(call.result)), None)
        kind = type(call.module).__name__
        super().__init__(key, None, kind, None if first is None else shape_of(first))
        self.names = [call.name]
        self.parameters = sum(p.numel() for p in parameters_of(call.module))
        self.inside = (kind, self.parameters)
        self.tied = ""  # the name of a module before it with which it shares a parameter

    @property
    def caption(self) -> str:
        names = list(dict.fromkeys(filter(None, self.names)))
        name = " to ".join(dict.fromkeys((names[0], names[-1]))) if names else ""
        count = f"{self.parameters:,} parameters" if self.parameters else "no parameters"
        if len(names) > 1:
            count += " each"
        shape = "x".join(str(size or "?") for size in self.output_shape or ())
        tied = f"shares a weight with {self.tied}" if self.tied else ""
        return "\n".join(filter(None, (name, count, tied, shape)))

    def is_like(self, other: Node) -> bool:
        return (
            isinstance(other, ModuleNode)
            and self.inside == other.inside
            and self.output_shape == other.output_shape
            and _above(self.names[-1]) == _above(other.names[0])
        )


class Graph(hiddenlayer.graph.Graph):
    """hiddenlayer's graph: ``nodes`` by id, and ``edges`` (id, id, shape), in order of execution.

    As a cell's last expression it shows as SVG. ``theme`` holds colours and font, as in
    ``hl.graph.THEMES``; ``layout`` any `attributes of a Graphviz graph
    <https://graphviz.org/docs/graph/>`_. hiddenlayer draws from left to right, ``{"rankdir":
    "LR"}``; here it is top to bottom, which stays legible at the width of a notebook.

    hiddenlayer's own class looks through the list of all edges at each step of each transform.
    Here each node knows its neighbours, so that folding takes time in proportion to the graph.
    """

    def __init__(self, name: str = "", note: str = "") -> None:
        self.name, self.note = name, note
        self.nodes = {}
        self.theme = THEMES["basic"].copy()
        self.layout = {"rankdir": "TB", "ranksep": "0.4"}
        self._before, self._after, self._order = {}, {}, {}  # by id of a node
        self._new = set()  # ids of what a transform put in

    def __repr__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"Graph of {self.name}: {len(self.nodes)} nodes, {len(self.edges)} edges{note}"

    def __deepcopy__(self, memo: dict) -> "Graph":
        """What each transform begins with; quicker than to copy all that is in a node."""
        other = copy.copy(self)
        other.nodes = {key: copy.copy(node) for key, node in self.nodes.items()}
        other._before = {key: dict(before) for key, before in self._before.items()}
        other._after = {key: dict(after) for key, after in self._after.items()}
        other._order, other._new = dict(self._order), set()
        other.theme, other.layout = self.theme.copy(), self.layout.copy()
        return other

    @property
    def edges(self) -> list[tuple]:
        return [(start, *edge) for start in self.nodes for edge in self._after[start].items()]

    def add_node(self, node: Node) -> None:
        self.nodes[node.id] = node
        self._before[node.id], self._after[node.id] = {}, {}
        self._order[node.id] = len(self._order)

    def add_edge(self, start: Node, end: Node, shape: tuple | None = None) -> None:
        self.add_edge_by_id(start.id, end.id, shape)

    def add_edge_by_id(self, start: str, end: str, shape: tuple | None = None) -> None:
        self._after[start].setdefault(end, shape)
        self._before[end].setdefault(start, shape)

    def incoming(self, node: Node | list[Node]) -> list[Node]:
        return [self.nodes[key] for key in self._around(self._before, node)]

    def outgoing(self, node: Node | list[Node]) -> list[Node]:
        return [self.nodes[key] for key in self._around(self._after, node)]

    def _around(self, side: dict, group: Node | list[Node]) -> dict:
        """The neighbours of a group on one side, outside it, with the shapes on the edges."""
        inside = {node.id: None for node in (group if isinstance(group, list) else [group])}
        return {k: shape for i in inside for k, shape in side[i].items() if k not in inside}

    def remove(self, nodes: Node | list[Node]) -> None:
        for node in nodes if isinstance(nodes, list) else [nodes]:
            for key in self._before.pop(node.id):
                del self._after[key][node.id]
            for key in self._after.pop(node.id):
                del self._before[key][node.id]
            del self.nodes[node.id], self._order[node.id]

    def replace(self, nodes: Node | list[Node], node: Node) -> None:
        """Put ``node`` in the place of ``nodes``; edges and their shapes stay as they were."""
        nodes = nodes if isinstance(nodes, list) else [nodes]
        if node.name == " &gt; ".join(old.title for old in nodes):  # markup; a name is text
            node.name = node.name.replace(" &gt; ", " > ")
        node.output_shape = node.output_shape or nodes[-1].output_shape
        before, after = self._around(self._before, nodes), self._around(self._after, nodes)
        order = min(self._order[old.id] for old in nodes)
        self.remove(nodes)
        self.add_node(node)
        self._order[node.id] = order
        self._new.add(node.id)
        for key, shape in before.items():
            self.add_edge_by_id(key, node.id, shape)
        for key, shape in after.items():
            self.add_edge_by_id(node.id, key, shape)

    def search(self, pattern: object) -> tuple[list[Node], object]:
        """The first match of a pattern, and what follows it; [] if there is none.

        A single node that the same transform has put in is no match, for it would never end.
        """
        for node in list(self.nodes.values()):
            match, following = pattern.match(self, node)
            if match and not (len(match) == 1 and match[0].id in self._new):
                return match, following
        return [], None

    def fold_modules(self) -> None:
        """Make one box of modules in a row that are alike."""
        for node in list(self.nodes.values()):
            if node.id not in self.nodes or not isinstance(node, ModuleNode):
                continue
            while len(after := self.outgoing(node)) == 1 and node.is_like(after[0]):
                whole = copy.copy(node)
                whole.id = self.sequence_id([node, after[0]])
                whole.names = node.names + after[0].names
                whole.repeat = node.repeat + after[0].repeat
                self.replace([node, after[0]], whole)
                node = whole

    def sort(self) -> None:
        """Put the nodes in the order in which the model runs them; transforms don't keep it."""
        self.nodes = dict(sorted(self.nodes.items(), key=lambda item: self._order[item[0]]))

    def sequence_id(self, sequence: list[Node]) -> str:
        """The id of a folded sequence, from its first node to its last; hiddenlayer's is random."""
        return f"{sequence[0].id.split(' to ')[0]} to {sequence[-1].id.split(' to ')[-1]}"

    def build_dot(self) -> Digraph:
        """The graph in Graphviz's language, the same text for the same graph."""
        self.sort()
        shown = hiddenlayer.graph.Graph()  # whose build_dot takes all text for markup
        shown.theme = self.theme
        shown.nodes = {_key(key): _as_markup(node) for key, node in self.nodes.items()}
        shown.edges = [(_key(start), _key(end), shape) for start, end, shape in self.edges]
        dot = shown.build_dot()
        dot.name = self.name
        # Spaces keep the shapes on edges off the line.
        dot.body = [line.replace('[label="', '[label="  ') for line in dot.body]
        if len(self.edges) > LARGE:
            dot.attr("graph", nslimit="1", nslimit1="1", mclimit="0.1", splines="line")
        if self.note:
            dot.attr("graph", label=self.note, labelloc="t")
        dot.attr("graph", **self.layout)
        return dot

    def _repr_svg_(self) -> str:
        _need_dot()
        return self.build_dot().pipe(format="svg", encoding="utf-8")

    def save(self, path: Path | str, format: str | None = None) -> Path:
        """Save the picture as png, pdf or svg, and return the file's path.

        The format is, in this order: ``format``, the ending of ``path``, pdf. The folder is made
        if it is missing. Raises ValueError for another format, GraphError without Graphviz, and
        OSError, which leaves a file of that name as it was, if it can't be written.
        """
        path = Path(path)
        kind = format or path.suffix[1:] or "pdf"
        if kind not in ("png", "pdf", "svg"):
            raise ValueError(f"a graph can be saved as png, pdf or svg, not as {kind!r}")
        if path.suffix != f".{kind}":
            path = path.with_name(f"{path.name}.{kind}")
        _need_dot()
        dot = self.build_dot()
        if kind == "png":
            dot.attr("graph", dpi="144")  # sharp on a slide
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write_bytes(dot.pipe(format=kind))
        return path


def _above(name: str) -> str:
    """The module that holds a module: features of features.0."""
    return name.rpartition(".")[0]


def _as_markup(node: Node) -> Node:
    """A node whose title and caption are text, as hiddenlayer's build_dot wants them."""
    shown = Node(node.id, html.escape(node.title, quote=False), "Node")
    shown._caption = html.escape(node.caption, quote=False).replace("\n", "<br/>")
    shown.repeat = node.repeat
    return shown


def _key(key: str) -> str:
    """A node's id, without what graphviz takes for a port."""
    return key.replace(":", "&#58;")


def _need_dot() -> None:
    if shutil.which("dot") is None:
        raise GraphError(
            "a graph is laid out by Graphviz's program dot, which isn't on the PATH: install it "
            "with `sudo apt install graphviz`, `brew install graphviz` or `conda install graphviz`"
        )


def build_graph(
    model: nn.Module,
    args: object = None,
    transforms: str | Sequence | None = "default",
    framework_transforms: str | Sequence | None = "default",
    kwargs: dict | None = None,
    depth: int | None = None,
) -> Graph:
    """The graph of the operations that ``model`` runs on an input.

    ``args`` is the model's input: a tensor, a tuple of positional inputs, or a dict of keyword
    inputs; ``kwargs`` holds keyword inputs that come on top of positional ones. Inputs and
    outputs may be containers of any kind. Only shapes and dtypes matter, unless ``forward`` looks
    at the numbers in a tensor: then the model runs on copies of the inputs, and the picture says
    that it is one way of several.

    With ``depth``, each module that is called ``depth`` calls below the model, and above that each
    that has no modules inside, is one box, with its class, name, parameters and the shape of its
    output; neighbours that are alike are one box with their number. The box's ``op`` is the class,
    and by default no transforms are applied.

    ``framework_transforms`` and ``transforms`` are applied in this order; ``None`` leaves a stage
    out, so that with both ``None`` you get the raw graph: a node an operation, under its ONNX
    name, with the id ``Model/Class[module]/Class[module]/outputs/number``. Dropout appears in
    training mode only. Weights, and whatever else doesn't depend on an input, have no nodes, but
    for layers that ran (see ``trace``); nor has what no output depends on.
    ``nn.MultiheadAttention`` is one node.

    The model, whatever its ``forward`` touches, its inputs and all random states stay as they are.
    Hooks run, with tensors that have a shape and no values.

    Raises TypeError if ``model`` is no module, ValueError for a depth below 1, GraphError if the
    model can't be run on this input.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"build_graph draws a torch.nn.Module, got {type(model).__name__}")
    if depth is not None and (not isinstance(depth, int) or depth < 1):
        raise ValueError(f"depth is a number of calls, 1 or more, got {depth!r}")
    if isinstance(args, dict):
        args, kwargs = (), args | (kwargs or {})
    elif args is None:
        args = ()
    elif type(args) is not tuple:  # a named tuple is one input
        args = (args,)
    drawn = _from_steps(trace(model, args, kwargs or {}), depth)
    usual = hiddenlayer.transforms.SIMPLICITY_TRANSFORMS if depth is None else ()
    for stage, default in ((framework_transforms, FRAMEWORK_TRANSFORMS), (transforms, usual)):
        for transform in default if isinstance(stage, str) and stage == "default" else stage or ():
            if drawn.nodes:  # FoldDuplicates doesn't come back from a graph without nodes
                drawn = transform.apply(drawn)
    drawn.fold_modules()
    drawn.sort()
    return drawn


def _from_steps(run: Run, depth: int | None) -> Graph:
    """The raw graph: a node for each step, or for the call of a module that is one box."""
    drawn = Graph(type(run.model).__name__, ONE_OF_SEVERAL if run.one_of_several else "")
    nodes, boxes, parts, owners = {}, {}, {}, {}
    for step in run.steps:
        call = _box_of(step.call, depth)
        node = boxes.get(call)
        if node is None:
            above = call or step.call
            key = f"{above.path}/outputs/{len(drawn.nodes)}" if above else f"{len(drawn.nodes)}"
            if call is None:
                node = Node(key, None, step.name, step.shape, step.attributes)
            elif depth is None or call.depth > depth or not call.depth:
                node = Node(key, None, "MultiHeadAttention")
            else:
                node = ModuleNode(key, call)
                held = [owners.setdefault(id(p), call) for p in parameters_of(call.module)]
                node.tied = next((o.name for o in held if o.module is not call.module), "")
            drawn.add_node(node)
        if call is not None:
            boxes[call] = node
            inside = parts.setdefault(node.id, [])
            inside.append((step.name, step.call.path[len(call.path) :], str(step.attributes)))
            if not isinstance(node, ModuleNode) or node.output_shape is None:
                node.output_shape = step.shape
        nodes[step] = node
        for before, shape in step.reads.items():
            if nodes[before] is not node:
                drawn.add_edge(nodes[before], node, shape)
    for node in drawn.nodes.values():
        if isinstance(node, ModuleNode):
            node.inside = (*node.inside, *parts[node.id])
    return drawn


def _box_of(call: Call | None, depth: int | None) -> Call | None:
    """The call drawn as one box that a step belongs to, itself or above; None if it has none."""
    found = None
    for above in call.chain() if call else ():
        leaf = depth and 0 < above.depth < depth and not above.module._modules
        if leaf or above.depth == depth or isinstance(above.module, nn.MultiheadAttention):
            found = above
    return found
