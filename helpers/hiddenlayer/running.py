"""How to run a model, whatever it is, quietly; and what to say if it can't be run."""

import contextlib
import copy
import io
import logging
import re
import sys
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from helpers.hiddenlayer.inside import named_modules, tensors


def initialized(model: nn.Module, args: tuple, kwargs: dict) -> nn.Module:
    """The model, or if it has lazy modules a copy in which one run has filled them."""
    held = [held for _, m in named_modules(model) for held in (m._parameters, m._buffers)]
    lazy = [t for some in held for t in some.values() if t is not None and is_lazy(t)]
    if not lazy:
        return model
    copies = {id(t): type(t)(device=t.device, dtype=t.dtype) for t in lazy}
    copies |= {id(t): t.detach().clone() for t in tensors((args, kwargs))}
    model, args, kwargs = copy.deepcopy((model, args, kwargs), copies)
    with torch.no_grad():
        model(*args, **kwargs)
    return model


@contextlib.contextmanager
def as_python() -> Iterator[None]:
    """What is compiled inside the model runs as the Python that it was made from."""
    script, compiled = torch.jit.ScriptFunction, torch.jit.ScriptFunction.__call__

    def call(function, *args, **kwargs):
        python = getattr(function, "_torchdynamo_inline", None)
        return python(*args, **kwargs) if python else compiled(function, *args, **kwargs)

    with contextlib.ExitStack() as stack:
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        script.__call__ = call
        stack.callback(setattr, script, "__call__", compiled)
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """A model that is run up to three times says nothing; an error says it all."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stdout(io.StringIO()):
                yield
    finally:
        logging.disable(level)


def describe_input(value: object) -> str:
    if isinstance(value, Tensor):
        shape = "x".join(map(str, value.shape)) or "scalar"
        return f"{str(value.dtype).removeprefix('torch.')} {shape}"
    return repr(value) if isinstance(value, (int, float, str, bool)) else type(value).__name__


def explain(error: Exception) -> str:
    """One sentence on why a model couldn't be run, and on what to do."""
    kind = type(error).__name__
    cause = re.split(r"\n|\. ", str(error).strip() or kind)[0].rstrip(".:")
    if "meta" in cause:
        return (
            f"it looks at the numbers in tensors, and on the meta device there are none ({cause}); "
            "make room for them with model.to_empty(device='cpu')"
        )
    return f"it raised {kind} ({cause}); check that it runs with inputs of these shapes and dtypes"
