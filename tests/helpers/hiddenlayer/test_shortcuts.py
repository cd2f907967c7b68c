"""What shortcuts say a layer makes, held against what torch says."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers.hiddenlayer.operators import describe
from helpers.hiddenlayer.shortcuts import SHORTCUTS, shortcut


def meta(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device="meta")


X, C, T, W = meta(2, 4, 6, 5), meta(4), meta(2, 7, 8), meta(3, 8)
Q = meta(2, 4, 7, 8)
MHA = (8, 2, meta(24, 8), meta(24), None, None, False, 0.0, meta(8, 8), meta(8))
TAKEN = [
    *((getattr(F, name), (X,), {}) for name in ("relu", "relu6", "hardswish", "silu", "mish")),
    *((getattr(F, name), (X,), {}) for name in ("elu", "leaky_relu", "hardsigmoid", "hardtanh")),
    *((f, (X.permute(0, 2, 3, 1),), {}) for f in (F.gelu, torch.sigmoid, torch.Tensor.tanh)),
    (F.relu, (X.contiguous(memory_format=torch.channels_last),), {}),
    (F.dropout, (X, 0.1, True), {}),
    *((getattr(torch.Tensor, name), (X, X), {}) for name in ("add", "mul", "sub", "div")),
    (torch.Tensor.mul, (X, 2), {}),
    (F.batch_norm, (X, C, C, C, C, False, 0.1, 1e-5), {}),
    (F.batch_norm, (X, C, C), {"weight": C, "bias": C, "training": True, "eps": 1e-5}),
    (F.batch_norm, (X.half(), C, C, C.half(), C.half()), {}),
    (F.layer_norm, (T, (8,), meta(8), meta(8), 1e-5), {}),
    (F.layer_norm, (T, [7, 8]), {}),
    (F.linear, (T, W, meta(3)), {}),
    (F.linear, (T.transpose(0, 1), W), {}),
    (F.scaled_dot_product_attention, (Q, meta(2, 4, 9, 8), meta(2, 4, 9, 3)), {}),
    (F.scaled_dot_product_attention, (Q, Q, Q), {"is_causal": True}),
    (F.scaled_dot_product_attention, (Q, Q, Q), {"attn_mask": meta(7, 7, dtype=torch.bool)}),
    (F.multi_head_attention_forward, (T, T, T, *MHA), {"need_weights": False}),
    (F.multi_head_attention_forward, (T, T, T, *MHA), {}),
    (F.multi_head_attention_forward, (T, T, T, *MHA), {"average_attn_weights": False}),
]


def looks(result):
    parts = result if isinstance(result, tuple) else (result,)
    return [None if p is None else (p.shape, p.dtype, p.device) for p in parts]


@pytest.mark.parametrize(
    ("function", "args", "kwargs"), TAKEN, ids=lambda v: getattr(v, "__name__", "")
)
def test_a_shortcut_says_what_torch_says(function, args, kwargs):
    with torch.no_grad():
        ours = shortcut(describe(function), args, kwargs)
        theirs = function(*args, **kwargs)
    assert ours is not None
    assert looks(ours) == looks(theirs)
    if function in (F.relu, F.batch_norm, torch.Tensor.add, torch.sigmoid):
        assert ours.stride() == theirs.stride()


def test_each_shortcut_is_tried():
    assert {describe(function).word for function, *_ in TAKEN} == SHORTCUTS.keys()


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (torch.Tensor.add, (X, meta(5)), {}),
        (torch.Tensor.add, (X, X), {"alpha": 2}),
        (torch.Tensor.add_, (X, X), {}),
        (torch.relu_, (X,), {}),
        (torch.Tensor.mul, (X.long(), 2.0), {}),
        (torch.sigmoid, (X.long(),), {}),
        (F.batch_norm, (X, meta(3), meta(3)), {}),
        (F.batch_norm, (X, C, C, meta(5)), {}),
        (F.batch_norm, (meta(1, 4), C, C, C, C, True), {}),
        (F.layer_norm, (T, (7,)), {}),
        (F.linear, (T, meta(3, 7)), {}),
        (F.linear, (T, W, meta(4)), {}),
        (F.linear, (T, W.half()), {}),
        (F.scaled_dot_product_attention, (Q, meta(2, 4, 9, 7), Q), {}),
        (F.scaled_dot_product_attention, (Q, Q, Q), {"attn_mask": meta(6, 7)}),
        (F.multi_head_attention_forward, (T, T, meta(2, 5, 8), *MHA), {}),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_what_isnt_plain_is_left_to_torch(function, args, kwargs):
    assert shortcut(describe(function), args, kwargs) is None


@pytest.mark.parametrize(
    "layer", [nn.ReLU(inplace=True), nn.Hardswish(inplace=True), nn.ELU(1, True)]
)
def test_what_works_in_place_is_written_to(layer):
    x = meta(3)
    version = x._version
    args = (x, 1.0, True) if isinstance(layer, nn.ELU) else (x, True)
    name = {"ReLU": F.relu, "Hardswish": F.hardswish, "ELU": F.elu}[type(layer).__name__]
    with torch.no_grad():
        assert shortcut(describe(name), args, {}) is x
    assert x._version > version
