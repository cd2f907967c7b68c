"""Which layers ran, by forward hooks, and which a graph has; the two are to be the same."""

from collections import Counter

import torch
from torch import nn

KINDS = {
    nn.modules.conv._ConvNd: ("Conv", "ConvTranspose"),
    nn.modules.batchnorm._BatchNorm: ("BatchNormalization",),
    nn.LayerNorm: ("LayerNormalization",),
    nn.GroupNorm: ("GroupNormalization",),
    nn.Embedding: ("Embedding", "Gather"),
    nn.Linear: ("Gemm", "MatMul"),
    nn.LSTM: ("LSTM",),
    nn.MultiheadAttention: ("MultiHeadAttention",),
}
"""Kinds of layers, and the names of their operators."""


def layers_that_ran(model, args, kwargs):
    """Calls of a layer's own forward, by kind and the layer's path in the model."""
    ran = Counter()
    hooks = []
    for name, module in model.named_modules():
        for kind in KINDS:
            if isinstance(module, kind):
                count = lambda *_, key=(kind.__name__, name): ran.update([key])  # noqa: E731
                hooks.append(module.register_forward_hook(count))
    with torch.no_grad():
        model(*args, **kwargs)
    for hook in hooks:
        hook.remove()
    # A block's inside isn't drawn.
    blocks = [name for kind, name in ran if kind == "MultiheadAttention"]
    return Counter(
        {key: n for key, n in ran.items() if not any(key[1].startswith(f"{b}.") for b in blocks)}
    )


def layers_drawn(graph, model):
    """Nodes of a raw graph, by kind and the path of the layer that they ran in."""
    drawn = Counter()
    modules = dict(model.named_modules())
    for key, node in graph.nodes.items():
        path = ""
        for part in key.split("/")[1:-2]:
            name = part.partition("[")[2].rstrip("]")  # below the one above, or, if shared, whole
            path = f"{path}.{name}" if f"{path}.{name}" in modules else name
        module = modules.get(path)
        for kind, names in KINDS.items():
            if isinstance(module, kind) and node.op in names:
                drawn[kind.__name__, path] += 1
    return drawn
