"""hiddenlayer, brought up to date: ``from helpers import hiddenlayer as hl``.

The names are those of hiddenlayer's documentation (https://github.com/waleedka/hiddenlayer).
"""

from hiddenlayer import transforms

from helpers.hiddenlayer import graph, history
from helpers.hiddenlayer.canvas import Canvas
from helpers.hiddenlayer.graph import Graph, GraphError, Node, build_graph
from helpers.hiddenlayer.history import History
from helpers.hiddenlayer.show import show_images, write

__all__ = [
    "Canvas",
    "Graph",
    "GraphError",
    "History",
    "Node",
    "build_graph",
    "graph",
    "history",
    "show_images",
    "transforms",
    "write",
]
