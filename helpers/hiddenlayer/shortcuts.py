"""What common layers make of tensors that have a shape and no numbers, without asking torch.

torch works such a result out in Python, for a batch normalization in a millisecond, which is most
of the time that following a network takes. Here are the cases whose result anybody can tell; in
all others, and wherever an argument doesn't fit, torch is asked, and refuses if it must.
"""

from collections.abc import Callable

import torch
from torch import Tensor

INPLACE = {
    "elu": 2,
    "gelu": None,
    "hardsigmoid": 1,
    "hardswish": 1,
    "hardtanh": 3,
    "leaky_relu": 2,
    "mish": 1,
    "relu": 1,
    "relu6": 1,
    "sigmoid": None,
    "silu": 1,
    "tanh": None,
}
"""Functions that work on each number alone, and where they are told to work in place."""


def like_input(operator: object, x: Tensor, *args: object, **kwargs: object) -> Tensor | None:
    place = INPLACE[operator.word]
    if not x.is_floating_point():
        return None
    if kwargs.get("inplace") or (place and args[place - 1 : place] == (True,)):
        return torch.relu_(x)  # which writes to x, too
    return torch.empty_like(x)


def dropout(
    _: object, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor | None:
    return None if inplace or not x.is_floating_point() else torch.empty_like(x)


def arithmetic(_: object, x: Tensor, y: object) -> Tensor | None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        return None
    if isinstance(y, Tensor):
        alike = y.shape == x.shape and y.dtype == x.dtype and y.stride() == x.stride()
        return torch.empty_like(x) if alike else None
    return torch.empty_like(x) if type(y) in (int, float) else None


def batch_norm(
    _: object,
    x: Tensor,
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor | None:
    if x.dim() < 2 or not x.is_floating_point():
        return None
    if training and x.numel() // max(x.shape[1], 1) < 2:
        return None  # an error
    size = (x.shape[1],)
    fits = all(t is None or (t.shape == size and t.dtype == x.dtype) for t in (weight, bias))
    fits = fits and all(t is None or t.shape == size for t in (mean, variance))
    return torch.empty_like(x) if fits else None


def layer_norm(
    _: object,
    x: Tensor,
    shape: tuple,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor | None:
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    if not shape or x.shape[-len(shape) :] != shape or not x.is_floating_point():
        return None
    fits = all(t is None or (t.shape == shape and t.dtype == x.dtype) for t in (weight, bias))
    return x.new_empty(x.shape) if fits else None


def linear(_: object, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    if weight.dim() != 2 or not x.dim() or x.shape[-1] != weight.shape[1]:
        return None
    fits = bias is None or (bias.shape == weight.shape[:1] and bias.dtype == x.dtype)
    return (
        x.new_empty((*x.shape[:-1], weight.shape[0])) if fits and weight.dtype == x.dtype else None
    )


def attention(
    _: object,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    if not (query.dim() == key.dim() == value.dim() == 4 and query.is_floating_point()):
        return None
    shape, others = query.shape, key.shape
    fits = shape[:2] == others[:2] == value.shape[:2] and shape[3] == others[3]
    fits = fits and others[2] == value.shape[2] and query.dtype == key.dtype == value.dtype
    if attn_mask is not None:
        wanted = (*shape[:3], others[2])[4 - attn_mask.dim() :] if attn_mask.dim() <= 4 else ()
        fits = fits and not is_causal and attn_mask.dtype in (torch.bool, query.dtype)
        fits = fits and len(wanted) == attn_mask.dim()
        fits = fits and all(size in (1, w) for size, w in zip(attn_mask.shape, wanted, strict=True))
    if not fits or enable_gqa:
        return None
    return query.new_empty((*shape[:3], value.shape[3]))


def multi_head_attention(
    _: object,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    size: int,
    heads: int,
    weight: Tensor,
    bias: Tensor | None,
    bias_k: None,
    bias_v: None,
    add_zero_attn: bool,
    dropout_p: float,
    out_weight: Tensor,
    out_bias: Tensor | None,
    training: bool = True,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    **others: object,
) -> tuple[Tensor, Tensor | None] | None:
    usual = bias_k is None and bias_v is None and not add_zero_attn and weight is not None
    if not usual or any(value not in (None, False) for value in others.values()):
        return None
    fits = query.dim() == key.dim() == 3 and query.shape[2] == size == key.shape[2]
    fits = fits and key.shape == value.shape and query.shape[1] == key.shape[1]
    fits = fits and weight.shape == (3 * size, size) and out_weight.shape == (size, size)
    if not fits or {t.dtype for t in (query, key, value, weight, out_weight)} != {query.dtype}:
        return None
    weights = None
    if need_weights:
        each = () if average_attn_weights else (heads,)
        weights = query.new_empty((query.shape[1], *each, query.shape[0], key.shape[0]))
    return query.new_empty(query.shape), weights


SHORTCUTS: dict[str, Callable] = {
    **dict.fromkeys(INPLACE, like_input),
    **dict.fromkeys(("add", "mul", "sub", "div"), arithmetic),
    "batch_norm": batch_norm,
    "dropout": dropout,
    "layer_norm": layer_norm,
    "linear": linear,
    "multi_head_attention_forward": multi_head_attention,
    "scaled_dot_product_attention": attention,
}
"""By word of an operator; called with it and its arguments. None means: ask torch."""


def shortcut(operator: object, args: tuple, kwargs: dict) -> Tensor | tuple | None:
    """The result of an operator on tensors of the meta device, or None if torch is to tell."""
    find = SHORTCUTS.get(operator.word)
    if find is None or operator.raw.endswith("_"):  # in place
        return None
    try:
        return find(operator, *args, **kwargs)
    except (AttributeError, TypeError):  # called in a way of its own
        return None
