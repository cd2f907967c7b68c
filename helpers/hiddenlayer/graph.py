"""hiddenlayer's Graph, and a ``build_graph`` that works.

hiddenlayer 0.3 (https://github.com/waleedka/hiddenlayer) asks for a part of torch that is gone;
here its Graph is filled from the steps of ``helpers.hiddenlayer.trace`` instead. The installed
package stays as it is, for whoever imports it directly.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import hiddenlayer.graph
from graphviz import Digraph
from hiddenlayer import transforms
from hiddenlayer.graph import THEMES, Node
from torch import nn

from helpers.hiddenlayer.trace import GraphError, trace

__all__ = ["THEMES", "Graph", "GraphError", "Node", "build_graph"]

FRAMEWORK_TRANSFORMS = [
    transforms.Rename(op="^Gemm$", to="Linear"),
    transforms.Rename(op="^BatchNormalization$", to="BatchNorm"),
]
"""ONNX's names for two layers, turned into those that people and hiddenlayer's patterns use."""

LARGE = 300
"""Edges from which on Graphviz is told to settle for a rougher, much quicker layout."""


class Graph(hiddenlayer.graph.Graph):
    """hiddenlayer's graph: ``nodes`` by id, and ``edges`` (id, id, shape), in order of execution.

    As a cell's last expression it shows as SVG. ``theme`` holds colours and font, as in
    ``hl.graph.THEMES``; ``layout`` any `attributes of a Graphviz graph
    <https://graphviz.org/docs/graph/>`_. hiddenlayer draws from left to right, ``{"rankdir":
    "LR"}``; here it is top to bottom, which stays legible at the width of a notebook.

    hiddenlayer's own class looks through the list of all edges at each step of each transform.
    Here each node knows its neighbours, so that folding takes time in proportion to the graph.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.nodes = {}
        self.theme = THEMES["basic"].copy()
        self.layout = {"rankdir": "TB", "ranksep": "0.4"}
        self._before, self._after, self._order = {}, {}, {}  # by id of a node

    def __repr__(self) -> str:
        return f"Graph of {self.name}: {len(self.nodes)} nodes, {len(self.edges)} edges"

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
        node.output_shape = node.output_shape or nodes[-1].output_shape
        before, after = self._around(self._before, nodes), self._around(self._after, nodes)
        order = min(self._order[old.id] for old in nodes)
        self.remove(nodes)
        self.add_node(node)
        self._order[node.id] = order
        for key, shape in before.items():
            self.add_edge_by_id(key, node.id, shape)
        for key, shape in after.items():
            self.add_edge_by_id(node.id, key, shape)

    def sort(self) -> None:
        """Put the nodes in the order in which the model runs them; transforms don't keep it."""
        self.nodes = dict(sorted(self.nodes.items(), key=lambda item: self._order[item[0]]))

    def sequence_id(self, sequence: list[Node]) -> str:
        """The id of a folded sequence, from its first node to its last; hiddenlayer's is random."""
        return f"{sequence[0].id.split(' to ')[0]} to {sequence[-1].id.split(' to ')[-1]}"

    def build_dot(self) -> Digraph:
        """The graph in Graphviz's language, the same text for the same graph."""
        self.sort()
        dot = super().build_dot()
        dot.name = self.name
        # Spaces keep the shapes on edges off the line.
        dot.body = [line.replace('[label="', '[label="  ') for line in dot.body]
        if len(self.edges) > LARGE:
            dot.attr("graph", nslimit="1", nslimit1="1", mclimit="0.1", splines="line")
        dot.attr("graph", **self.layout)
        return dot

    def _repr_svg_(self) -> str:
        _need_dot()
        return self.build_dot().pipe(format="svg", encoding="utf-8")

    def save(self, path: Path | str, format: str | None = None) -> Path:
        """Save the picture as png, pdf or svg, and return the file's path.

        The format is, in this order: ``format``, the ending of ``path``, pdf. The folder is made
        if it is missing. Raises ValueError for another format, GraphError without Graphviz.
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
        path.write_bytes(dot.pipe(format=kind))
        return path


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
) -> Graph:
    """The graph of the operations that ``model`` runs on an input.

    ``args`` is the model's input: a tensor, a tuple of positional inputs, or a dict of keyword
    inputs; ``kwargs`` holds keyword inputs that come on top of positional ones. Only their shapes
    and dtypes matter: ``torch.export`` follows the model without computing anything.

    ``framework_transforms`` and ``transforms`` are applied in this order; ``None`` leaves a stage
    out, so that with both ``None`` you get the raw graph: a node an operation, under its ONNX
    name, with the id ``Model/Class[module]/Class[module]/outputs/number``. Dropout appears in
    training mode only. Weights, and whatever else doesn't depend on an input, have no nodes, nor
    has what no output depends on; ``nn.MultiheadAttention`` is one node.

    The model, its modes, gradients and hooks, and all random states stay as they are. Hooks run,
    with tensors that have a shape and no values.

    Raises TypeError if ``model`` is no module, GraphError if it can't be followed.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"build_graph draws a torch.nn.Module, got {type(model).__name__}")
    if isinstance(args, dict):
        args, kwargs = (), args | (kwargs or {})
    elif args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    drawn = Graph(type(model).__name__)
    for step in trace(model, args, kwargs or {}):
        drawn.add_node(Node(step.id, None, step.name, step.shape, step.attributes))
        for before, shape in step.reads.items():
            drawn.add_edge_by_id(before, step.id, shape)
    if not drawn.nodes:  # FoldDuplicates wouldn't come back from a graph without nodes
        return drawn
    default = hiddenlayer.transforms.SIMPLICITY_TRANSFORMS
    for stage, usual in ((framework_transforms, FRAMEWORK_TRANSFORMS), (transforms, default)):
        for transform in usual if stage == "default" else stage or ():
            drawn = transform.apply(drawn)
    drawn.sort()
    return drawn
