"""A patient's chart: what a training does, written into an event file, and read back.

with Chart("runs/mine", model, test) as chart:
    for images, labels in loader:
        ...                                      # forward, zero_grad, backward: your own
        chart.log(images, labels, logits, loss)  # after backward(), before step()
        optimizer.step()
record = read_chart("runs/mine")
"""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchvision.utils import make_grid

EARLY = (0, 1, 2, 3, 5)
"""Steps that are logged whatever ``every`` is: much of what goes wrong goes wrong here."""

MOMENTS = (0, 10, 100, 1_000, 10_000, 100_000)
"""Steps with histograms, and with a second count of the test images. The end has them too."""

SHOWN = 16
"""Training images and test images in the logged batch."""

FILE_NAME = "events.out.tfevents.chart"


class Chart:
    """Logs the training of a classifier of images: curves, gradients, histograms, a batch.

    ``test`` gives float images (N, C, H, W) and int64 labels (N,) when indexed with a slice, as a
    ``TensorDataset`` does. All of it is answered at each entry, so some hundreds are enough;
    ``eval_mode=False`` answers in the mode that the model happens to be in, like a loop that
    forgets ``model.eval()``. An entry is made every ``every`` steps, at the first few and at the
    end. ``clock()`` is the time that an entry is stamped with, in seconds.

    A *layer* is a module with parameters of its own. A *unit* is a channel or a feature; it is
    silent if its ``nn.ReLU`` gives 0 for every test image. (ReLUs that are called as functions
    aren't seen.) A layer that no gradient reaches is logged with a gradient of 0. Curves show what
    isn't finite; histograms leave it out.

    Use it as a context manager, or call ``close``: the end is an entry too, and nothing is lost
    of what was logged before an error. Raises FileExistsError if ``folder`` already holds a chart,
    and ValueError if there are no test images.
    """

    def __init__(
        self,
        folder: Path | str,
        model: nn.Module,
        test: Dataset,
        every: int = 10,
        eval_mode: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if len(test) == 0:
            raise ValueError("a chart needs test images, and there are none")
        path = Path(folder) / FILE_NAME
        if path.exists():
            raise FileExistsError(f"{folder} already holds a chart: give this one another folder")
        self.model, self.every, self.eval_mode, self.clock = model, every, eval_mode, clock
        self.test_images, self.test_labels = test[:]
        self.layers = {
            name: module
            for name, module in model.named_modules()
            if any(True for _ in module.parameters(recurse=False))
        }
        self.step = 0
        self._losses, self._right = [], []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = RecordWriter(str(path))
        self._write(Event(file_version="brain.Event:2"))

    def log(self, images: Tensor, labels: Tensor, logits: Tensor, loss: Tensor) -> None:
        """Call it in every step, after ``backward()`` and before the optimizer's ``step()``.

        ``images`` (B, C, H, W) and int64 ``labels`` (B,) as the model got them, ``logits``
        (B, classes), ``loss`` a scalar. The first step is step 0: its entry shows the untouched
        weights.
        """
        self._losses.append(loss.item())
        self._right.append(_share_right(logits, labels))
        if self.step == 0:
            self._log_batch("train", images, labels)
            self._log_batch("test", self.test_images, self.test_labels)
        if self.step in EARLY or self.step % self.every == 0:
            self._log_entry()
        if self.step in MOMENTS:
            self._log_histograms()
        self.step += 1

    def close(self) -> None:
        """Log the end: a last entry, histograms, and which class was taken for which."""
        if self._file is None:
            return
        try:
            if self.step:
                self._log_entry(last=True)
                self._log_histograms()
        finally:  # what was logged before is kept, whatever is wrong with the model now
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _log_entry(self, last: bool = False) -> None:
        logits, silent = self._answers()
        labels = self.test_labels.cpu()
        values = {
            "loss/test": nn.functional.cross_entropy(logits, labels).item(),
            "accuracy/test": _share_right(logits, labels),
        }
        if self._losses:  # since the last entry
            values["loss/train"] = sum(self._losses) / len(self._losses)
            values["accuracy/train"] = sum(self._right) / len(self._right)
            self._losses, self._right = [], []
        if last or self.step in MOMENTS:
            values["accuracy/test_counted_again"] = _share_right(self._answers()[0], labels)
        for name, layer in self.layers.items():
            values[f"gradient/{name}"] = _join(_gradients(layer)).norm().item()
        values |= {f"silent/{name}": share for name, share in silent.items()}
        self._add_scalars(values)
        if last:
            classes = logits.shape[1]
            counts = (labels * classes + logits.argmax(1)).bincount(minlength=classes**2)
            self._add_text("confusion", _table(counts.reshape(classes, classes).tolist()))

    def _answers(self) -> tuple[Tensor, dict[str, float]]:
        """Logits of all test images, and the share of silent units behind each nn.ReLU."""
        fired: dict[str, Tensor] = {}

        def watch(name: str) -> Callable:
            def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
                now = (output > 0).transpose(0, 1).flatten(1).any(1)  # for each channel, feature
                fired[name] = fired.get(name, False) | now

            return hook

        device = next(self.model.parameters()).device
        modules = dict(self.model.named_modules())
        relus = {name: module for name, module in modules.items() if isinstance(module, nn.ReLU)}
        hooks = [module.register_forward_hook(watch(name)) for name, module in relus.items()]
        modes = {module: module.training for module in modules.values()}
        if self.eval_mode:
            self.model.eval()
        try:
            with torch.inference_mode():
                logits = [self.model(part.to(device)) for part in self.test_images.split(125)]
        finally:
            for module, mode in modes.items():
                module.training = mode
            for hook in hooks:
                hook.remove()
        silent = {name: 1 - units.float().mean().item() for name, units in fired.items()}
        return torch.cat(logits).float().cpu(), silent

    def _log_histograms(self) -> None:
        for name, layer in self.layers.items():
            weights = _join([p.detach() for p in layer.parameters(recurse=False)])
            gradients = _join(_gradients(layer))
            self._add_histogram(f"weights/{name}", weights)
            self._add_histogram(f"log10_gradients/{name}", gradients[gradients != 0].abs().log10())

    def _log_batch(self, name: str, images: Tensor, labels: Tensor) -> None:
        self._add_scalars(
            {
                f"pixels/{name}_lowest": images.min().item(),
                f"pixels/{name}_mean": images.float().mean().item(),
                f"pixels/{name}_highest": images.max().item(),
                f"classes/{name}": len(labels.unique()),
            }
        )
        if images.dim() == 4:
            grid = make_grid(images[:SHOWN].float().cpu().clamp(0, 1), nrow=8, padding=0)
            self._add(summary.image(f"batch/{name}", grid.cpu().numpy(), dataformats="CHW"))
        self._add_text(f"labels/{name}", " ".join(map(str, labels[:SHOWN].tolist())))

    def _add_histogram(self, name: str, values: Tensor) -> None:
        values = values[values.isfinite()]
        if len(values):
            self._add(summary.histogram(name, values.cpu().numpy(), bins=40))

    def _add_scalars(self, values: dict[str, float]) -> None:
        # tensorboardX's own summary.scalar prints a warning at each value that isn't finite.
        self._add(
            Summary(
                value=[
                    Summary.Value(tag=name, simple_value=value) for name, value in values.items()
                ]
            )
        )

    def _add_text(self, name: str, text: str) -> None:
        self._add(summary.text(name, text))

    def _add(self, values: Summary) -> None:
        self._write(Event(step=self.step, summary=values))

    def _write(self, event: Event) -> None:
        # Not SummaryWriter, whose file is named and stamped by the computer's name and clock.
        event.wall_time = self.clock()
        self._file.write(event.SerializeToString())


def _gradients(layer: nn.Module) -> list[Tensor]:
    return [p.grad for p in layer.parameters(recurse=False) if p.grad is not None]


def _join(tensors: list[Tensor]) -> Tensor:
    """All values of some tensors, (N,), on the CPU."""
    return torch.cat([t.flatten().float().cpu() for t in tensors]) if tensors else torch.zeros(0)


def _share_right(logits: Tensor, labels: Tensor) -> float:
    return (logits.argmax(1) == labels).float().mean().item()


def _table(rows: list[list[int]]) -> str:
    """Counts (classes, classes) as a table in Markdown, which is what TensorBoard shows as text."""
    head = ["true \\ answer", *range(len(rows))]
    lines = [head, ["---"] * len(head), *([number, *row] for number, row in enumerate(rows))]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


class Record(NamedTuple):
    """A chart that was read back.

    ``scalars`` gives steps and values, each float64 (S,), by tag. ``histograms`` gives, by tag and
    step, edges (B + 1,) and counts (B,). ``batch`` gives pixels, uint8 (H, W, 3), and ``labels``
    their classes as text, for "train" and for "test". ``confusion`` counts test images, int
    (true class, answer).
    """

    name: str
    scalars: dict[str, tuple[np.ndarray, np.ndarray]]
    histograms: dict[str, dict[int, tuple[np.ndarray, np.ndarray]]]
    batch: dict[str, np.ndarray]
    labels: dict[str, list[str]]
    confusion: np.ndarray

    @property
    def last_step(self) -> int:
        """The step of the last entry: as many as the optimizer took."""
        return int(self.scalars["loss/test"][0][-1])

    def layers(self) -> list[str]:
        """The names of the layers, from the input on."""
        return [
            tag.removeprefix("gradient/") for tag in self.scalars if tag.startswith("gradient/")
        ]


def read_chart(folder: Path | str) -> Record:
    """Read the chart in a folder; the folder's name becomes the record's.

    Raises FileNotFoundError if there is none, and ValueError if it has no end: the training is
    still running, or it stopped before ``close``.
    """
    folder = Path(folder)
    if not (folder / FILE_NAME).is_file():
        raise FileNotFoundError(f"{folder} holds no chart ({FILE_NAME})")
    keep_all = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}
    events = EventAccumulator(str(folder / FILE_NAME), size_guidance=keep_all).Reload()
    tags = events.Tags()

    def text(tag: str) -> str:
        return events.Tensors(f"{tag}/text_summary")[0].tensor_proto.string_val[0].decode()

    if "confusion/text_summary" not in tags["tensors"]:
        raise ValueError(f"the chart in {folder} has no end: close() it after the training")
    scalars = {
        tag: (
            np.array([point.step for point in events.Scalars(tag)], float),
            np.array([point.value for point in events.Scalars(tag)], float),
        )
        for tag in tags["scalars"]
    }
    histograms = {
        tag: {
            event.step: (
                np.array(event.histogram_value.bucket_limit),
                np.array(event.histogram_value.bucket[1:]),  # the first lies left of the edges
            )
            for event in events.Histograms(tag)
        }
        for tag in tags["histograms"]
    }
    batch = {
        tag.removeprefix("batch/"): np.array(
            Image.open(io.BytesIO(events.Images(tag)[0].encoded_image_string)).convert("RGB")
        )
        for tag in tags["images"]
    }
    labels = {name: text(f"labels/{name}").split() for name in ("train", "test")}
    rows = text("confusion").splitlines()[2:]
    confusion = np.array([[int(cell) for cell in row.split("|")[2:-1]] for row in rows])
    return Record(folder.name, scalars, histograms, batch, labels, confusion)
