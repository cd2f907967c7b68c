"""torch's functions as a picture names them: under their ONNX names, with their attributes."""

import re
from collections.abc import Callable
from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NAMES = {
    "adaptive_avg_pool": "AveragePool",
    "adaptive_max_pool": "MaxPool",
    "addmm": "Gemm",
    "avg_pool": "AveragePool",
    "batch_norm": "BatchNormalization",
    "bmm": "MatMul",
    "cat": "Concat",
    "chunk": "Split",
    "clamp": "Clip",
    "concat": "Concat",
    "concatenate": "Concat",
    "conv_transpose": "ConvTranspose",
    "copy": "Copy",
    "divide": "Div",
    "feature_dropout": "Dropout",
    "floordiv": "FloorDivide",
    "group_norm": "GroupNormalization",
    "gru": "GRU",
    "hardsigmoid": "HardSigmoid",
    "hardswish": "HardSwish",
    "hardtanh": "Clip",
    "index": "Gather",
    "index_select": "Gather",
    "instance_norm": "InstanceNormalization",
    "interpolate": "Resize",
    "layer_norm": "LayerNormalization",
    "linear": "Gemm",
    "lstm": "LSTM",
    "matmul": "MatMul",
    "max_pool_with_indices": "MaxPool",
    "mean": "ReduceMean",
    "mm": "MatMul",
    "moveaxis": "Transpose",
    "movedim": "Transpose",
    "multi_head_attention_forward": "MultiHeadAttention",
    "multiply": "Mul",
    "permute": "Transpose",
    "rdiv": "Div",
    "relu6": "Clip",
    "reshape_as": "Reshape",
    "rmatmul": "MatMul",
    "rmul": "Mul",
    "rnn_relu": "RNN",
    "rnn_tanh": "RNN",
    "rpow": "Pow",
    "rsub": "Sub",
    "scaled_dot_product_attention": "Attention",
    "select": "Gather",
    "setitem": "Copy",
    "split_with_sizes": "Split",
    "stack": "Concat",
    "subtract": "Sub",
    "sum": "ReduceSum",
    "swapaxes": "Transpose",
    "swapdims": "Transpose",
    "t": "Transpose",
    "tensor_split": "Split",
    "true_divide": "Div",
    "truediv": "Div",
    "unbind": "Split",
    "unflatten": "Reshape",
    "upsample": "Resize",
    "upsample_bicubic": "Resize",
    "upsample_bilinear": "Resize",
    "upsample_nearest": "Resize",
    "view": "Reshape",
    "view_as": "Reshape",
    **dict.fromkeys(("H", "T", "adjoint", "mH", "mT"), "Transpose"),
}
"""ONNX's names for torch's operators, where they aren't torch's own in CamelCase.

Keys are without leading and trailing underscores and without "2d" and its like.
"""

ATTRIBUTES = {
    "kernel_size": "kernel_shape",
    "stride": "strides",
    "padding": "pads",
    "dilation": "dilations",
    "groups": "group",
}
"""ONNX's names for the arguments of convolutions and pools."""

_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups")
ARGUMENTS = {
    "conv": _CONV,
    "conv_transpose": (*_TRANSPOSED, "dilation"),
    "max_pool": ("input", "kernel_size", "stride", "padding", "dilation"),
    "avg_pool": ("input", "kernel_size", "stride", "padding"),
    "lp_pool": ("input", "norm_type", "kernel_size", "stride"),
}
"""The positional arguments of those that have a kernel."""

UNSEEN = _words(
    "alias as_subclass bfloat16 bool byte char clone contiguous cpu cuda data deepcopy detach "
    "double float half int lift_fresh_copy long pin_memory positive requires_grad resolve_conj "
    "resolve_neg retain_grad short to to_copy type type_as"
)
"""Functions that hand on the same numbers, and so are no step worth drawing."""

DROPOUTS = frozenset(("alpha_dropout", "dropout", "feature_alpha_dropout", "feature_dropout"))

WEIGHTED = _words(
    "batch_norm bilinear conv conv_transpose embedding embedding_bag group_norm instance_norm "
    "layer_norm linear prelu rms_norm"
)
"""Layers' functions: the first argument is data, the others are what the layer has learned."""

OVERWRITES = _words(
    "bernoulli_ cauchy_ copy_ exponential_ fill_ geometric_ log_normal_ normal_ random_ uniform_ "
    "zero_"
)
"""Functions that don't read what they write to."""

VALUES = _words(
    "__array__ __bool__ __complex__ __contains__ __float__ __format__ __index__ __int__ __repr__ "
    "__str__ allclose equal is_nonzero item numpy tolist"
)
"""Functions that hand the numbers in a tensor to Python, where nobody can follow them."""

SIZED_BY_VALUES = _words("argwhere masked_select nonzero unique unique_consecutive")
"""Functions whose result is as large as the numbers say."""

ASIDE = _words(
    "__hash__ __len__ data_ptr dim element_size get_device is_complex is_contiguous "
    "is_floating_point is_shared ndimension nelement numel size storage_offset stride"
)
"""Functions that ask a tensor about itself, not about its numbers."""

SHAPED = _words(
    "empty empty_like new_empty new_ones new_tensor new_zeros ones ones_like rand rand_like "
    "randint randint_like randn randn_like zeros zeros_like"
)
"""Functions that take a tensor's shape or type, and none of its numbers."""

FROM_ARRAYS = _words("as_tensor asarray from_numpy tensor")
"""Functions that make a tensor of an array."""

TENSORS = frozenset(("H", "T", "data", "imag", "mH", "mT", "real"))
"""A tensor's attributes that are tensors made of it."""


@dataclass(eq=False, slots=True)
class Operator:
    """What is known of a function before it runs.

    ``raw`` is its own name; ``word`` is the key to the tables above, "" for a function that isn't
    torch's own, whatever it is called.
    """

    raw: str
    word: str
    aside: bool = False  # asks a tensor about itself, not about its numbers
    sets: bool = False  # sets an attribute of a tensor
    values: bool = False  # hands the numbers in a tensor to Python
    sized: bool = False  # its result is as large as the numbers say
    shaped: bool = False  # reads no numbers
    from_array: bool = False  # makes a tensor of what Python has

    def name(self, arguments: tuple, shape: tuple | None) -> str:
        """Its ONNX name; ``shape`` is that of its result."""
        if self.word == "getitem":
            return _index_name(arguments[1])
        if self.word == "adaptive_avg_pool" and shape and set(shape[2:]) == {1}:
            return "GlobalAveragePool"
        parts = (self.word or self.raw).strip("_").split("_")
        return NAMES.get(self.word) or "".join(part[:1].upper() + part[1:] for part in parts)

    def attributes(self, arguments: tuple, keywords: dict) -> dict:
        """The kernel of a convolution or a pool, under ONNX's names; {} for others."""
        if self.word not in ARGUMENTS:
            return {}
        given = dict(zip(ARGUMENTS[self.word], arguments, strict=False)) | keywords
        rank = int((re.search("[123](?=d)", self.raw) or "2")[0])
        if "weight" in given:
            given["kernel_size"] = tuple(given["weight"].shape[2:])
        found = {name: given[key] for key, name in ATTRIBUTES.items() if given.get(key) is not None}
        for name, value in found.items():
            if isinstance(value, int) and name != "group":
                found[name] = [value] * rank
            elif isinstance(value, (list, tuple)):
                found[name] = list(value)
        return found

    def unchanged(self, arguments: tuple, keywords: dict) -> bool:
        """Whether it hands on the numbers that it gets."""
        if self.word in DROPOUTS:
            given = arguments[2:3] or [keywords.get(key) for key in ("training", "train")]
            return any(value is False for value in given)
        if self.word == "getitem":
            return all(_is_all(part) for part in _parts(arguments[1]))
        return self.word in UNSEEN


def describe(function: Callable) -> Operator:
    """An operator, from the function that a torch function mode is told of."""
    raw = getattr(function, "__name__", type(function).__name__)
    home = getattr(function, "__module__", None) or "torch"
    aside, sets = raw in ASIDE, raw == "__set__"
    if raw in ("__get__", "__set__"):
        raw = function.__self__.__name__
        aside = not sets and raw not in TENSORS
    schema = getattr(function, "_schema", None)
    full = schema.name if schema else getattr(function, "_qualified_op_name", "")
    if full:  # one of torch.ops, library::name
        home, _, raw = full.partition("::")
        home = "torch" if home in ("aten", "prims") else home
    if home.partition(".")[0] != "torch":
        return Operator(raw, "")
    word = re.sub("[123]d", "", raw.strip("_"))
    return Operator(
        raw,
        word,
        aside,
        sets,
        raw in VALUES,
        word in SIZED_BY_VALUES,
        word in SHAPED,
        raw in FROM_ARRAYS,
    )


def is_basic(index: object) -> bool:
    """Whether x[index] is a view: no tensor and no list chooses among the elements."""
    return all(
        part is None or part is ... or isinstance(part, (slice, int)) for part in _parts(index)
    ) and not any(isinstance(part, bool) for part in _parts(index))


def _parts(index: object) -> tuple:
    return index if isinstance(index, tuple) else (index,)


def _is_all(part: object) -> bool:
    return part is ... or (
        isinstance(part, slice) and part.start in (None, 0) and part.stop is None and not part.step
    )


def _index_name(index: object) -> str:
    if not is_basic(index) or any(isinstance(part, int) for part in _parts(index)):
        return "Gather"
    return "Unsqueeze" if all(p is None or _is_all(p) for p in _parts(index)) else "Slice"
