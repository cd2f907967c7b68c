"""Models to draw, and how the tests here read a graph."""

import torch
import torchvision

from helpers import hiddenlayer as hl

DIGIT = torch.zeros(1, 1, 28, 28)
LEFT, RIGHT, SCALE = torch.zeros(2, 3), torch.zeros(2, 1, 5, 5), torch.zeros(4)

CLASSIFIERS = {
    "alexnet": 224,
    "convnext_tiny": 64,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "googlenet": 64,
    "inception_v3": 96,
    "maxvit_t": 224,
    "mnasnet0_5": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "regnet_y_400mf": 64,
    "resnet18": 64,
    "shufflenet_v2_x0_5": 64,
    "squeezenet1_0": 64,
    "swin_t": 64,
    "vgg11_bn": 64,
    "vit_b_16": 224,
}


def raw(model, args=None, **kwargs):
    return hl.build_graph(model, args, None, None, **kwargs)


def ops(graph):
    return [node.op for node in graph.nodes.values()]


def edges(graph):
    """The edges as pairs of operator names."""
    return [(graph[start].op, graph[end].op) for start, end, _ in graph.edges]


def classifier(name):
    # Made without numbers, which don't matter here, but a RegNet computes its own widths.
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        model = torchvision.models.get_model(name, weights=None, **options)
    model = model.to_empty(device="cpu").eval()
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()
    return model
