"""torchviz's pictures of the autograd graph, with nodes that have the same names in every run."""

import torchviz.dot
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
    that the same graph is another text, and another SVG, in every run; and a saved tensor lives
    no longer than it is looked at, so that two may get one address, and one box. Numbered, two
    pictures can be compared as text, and each saved tensor is a box.
    """
    met = {}  # what was met stays alive, so that no address comes twice

    def number(thing: object) -> int:
        return met.setdefault(id(thing), (len(met), thing))[0]

    torchviz.dot.id = number  # for this call, in place of Python's own
    try:
        return torchviz.make_dot(var, params, show_attrs, show_saved, max_attr_chars)
    finally:
        del torchviz.dot.id
