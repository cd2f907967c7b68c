"""What a model runs on in place of its caller's tensors: shapes only, fake tensors, or copies."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers.hiddenlayer.operators import Operator
from helpers.hiddenlayer.shortcuts import shortcut


class Shapes:
    """Tensors of the meta device: a shape, a dtype and strides, and no numbers."""

    computes = False

    def stand_in(self, tensor: Tensor) -> Tensor:
        if type(tensor) not in (Tensor, nn.Parameter, nn.Buffer):
            raise TypeError(f"no tensor of the meta device stands in for a {type(tensor).__name__}")
        if tensor.layout is not torch.strided:
            return tensor.detach().to("meta")
        size, stride, offset = tensor.size(), tensor.stride(), tensor.storage_offset()
        if offset:
            length = tensor.untyped_storage().nbytes() // tensor.element_size()
            whole = torch.empty(length, dtype=tensor.dtype, device="meta")
            return whole.as_strided(size, stride, offset)
        return torch.empty_strided(size, stride, dtype=tensor.dtype, device="meta")

    def has(self, tensor: Tensor) -> bool:
        return tensor.is_meta

    def call(self, operator: Operator, function: Callable, args: tuple, kwargs: dict) -> object:
        """What the function makes of such tensors. If it is told a device, it is told this one."""
        result = shortcut(operator, args, kwargs)
        if result is not None:
            return result
        if operator.word in ("cpu", "cuda", "xpu"):
            return args[0].detach()
        if operator.word == "to":
            named = (str, torch.device)
            args = tuple("meta" if isinstance(value, named) else value for value in args)
        if kwargs.get("device") is not None:
            kwargs = kwargs | {"device": "meta"}
        return function(*args, **kwargs)


class Fakes:
    """torch.export's tensors; a size or a number that depends on values is a symbol."""

    computes = False

    def __init__(self) -> None:
        from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
        from torch.fx.experimental.symbolic_shapes import ShapeEnv

        sizes = ShapeEnv(allow_scalar_outputs=True, allow_dynamic_output_shape_ops=True)
        self.mode, self.kind = (
            FakeTensorMode(allow_non_fake_inputs=True, shape_env=sizes),
            FakeTensor,
        )

    def stand_in(self, tensor: Tensor) -> Tensor:
        return self.mode.from_tensor(tensor.detach(), static_shapes=True)

    def has(self, tensor: Tensor) -> bool:
        return isinstance(tensor, self.kind)

    def call(self, _: Operator, function: Callable, args: tuple, kwargs: dict) -> object:
        return function(*args, **kwargs)


class Copies:
    """Copies, which share their memory where the originals do. The model really computes."""

    computes = True

    def __init__(self) -> None:
        self.storages = {}  # by address of the original

    def stand_in(self, tensor: Tensor) -> Tensor:
        try:
            storage = tensor.untyped_storage()
            if storage._cdata not in self.storages:
                self.storages[storage._cdata] = storage.clone()
            place = tensor.storage_offset(), tensor.size(), tensor.stride()
            copied = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
            with torch.no_grad():
                copied.set_(self.storages[storage._cdata], *place)
        except (NotImplementedError, RuntimeError):  # sparse, nested, quantized
            copied = tensor.detach().clone()
        return copied.requires_grad_(tensor.requires_grad)

    def has(self, tensor: Tensor) -> bool:
        return True


WAYS = (Shapes, Fakes, Copies)
"""In the order in which they are tried."""
