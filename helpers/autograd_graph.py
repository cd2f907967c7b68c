"""torchviz's pictures of the autograd graph, with nodes that have the same names in every run."""

import re

from graphviz import Digraph


def numbered(dot: Digraph) -> Digraph:
    """Number the nodes of a ``torchviz.make_dot`` picture in their order; return it.

    torchviz names a node by its address in memory, so that the same graph is another text, and
    another SVG, in every run. Numbered, two pictures can be compared as text.
    """
    numbers = {}

    def number(address: re.Match) -> str:
        return f"{address[1]}{numbers.setdefault(address[2], len(numbers))}"

    # An address stands at the start of a line, or behind the arrow of an edge.
    dot.body = [re.sub(r"^(\t|\t\d+ -> )(\d+)", number, line) for line in dot.body]
    dot.body = [re.sub(r"^(\t\d+ -> )(\d+)", number, line) for line in dot.body]
    return dot
