"""torchviz's pictures of the autograd graph, with nodes that have the same names in every run."""

import re

import torchviz
from graphviz import Digraph
from torch import Tensor


def make_dot(
    var: Tensor | tuple[Tensor, ...],
    params: dict[str, Tensor] | None = None,
    show_attrs: bool = False,
    show_saved: bool = False,
    max_attr_chars: int = 50,
) -> Digraph:
    """``torchviz.make_dot``, argument by argument, with nodes that are numbered in their order.

    ``var`` is what the graph leads to, and ``params`` gives names to tensors in it.
    ``show_saved`` adds the tensors that autograd keeps for the way back, and ``show_attrs``, with
    it, what else an operation keeps, cut to ``max_attr_chars`` characters.

    torchviz (https://github.com/szagoruyko/pytorchviz) names a node by its address in memory, so
    that the same graph is another text, and another SVG, in every run. Numbered, two pictures
    can be compared as text.
    """
    dot = torchviz.make_dot(var, params, show_attrs, show_saved, max_attr_chars)
    numbers = {}

    def number(address: re.Match) -> str:
        return f"{address[1]}{numbers.setdefault(address[2], len(numbers))}"

    # An address stands at the start of a line, or behind the arrow of an edge.
    dot.body = [re.sub(r"^(\t|\t\d+ -> )(\d+)", number, line) for line in dot.body]
    dot.body = [re.sub(r"^(\t\d+ -> )(\d+)", number, line) for line in dot.body]
    return dot
