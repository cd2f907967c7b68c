"""Many runs of one training with different settings, and what each of them came to."""

import hashlib
import inspect
import json
import math
import operator
import os
import re
import shutil
import tempfile
import time
import traceback
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Self

import cloudpickle
import torch
from distributed import Client, Future, KilledWorker, as_completed, get_worker
from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams
from torch.utils.data import TensorDataset

from helpers import data as data_module
from helpers import model
from helpers.dask.connect import ClusterError, versions
from helpers.data import ImageData

RESULT = "result.json"

VERSIONS = versions()
"""Of the files as they were when they were read: who edits one meanwhile runs the old one."""

Train = Callable[[dict, ImageData | None, SummaryWriter], dict[str, float]]


@dataclass
class Run:
    """One run: what was chosen, and what came of it.

    ``status`` is "done", "diverged" (a metric isn't finite) or "failed" (it raised ``error``, or
    its worker died again and again). ``metrics`` is what the training returned. ``folder`` holds
    its event file. ``started`` is in seconds since 1970 by the clock of the ``worker``, whose
    address that is; ``seconds`` is how long it took there, and ``cpu_seconds`` how much of that the
    processor worked for it.
    """

    settings: dict[str, int | float | str | bool]
    status: str
    metrics: dict[str, float]
    error: str
    worker: str
    started: float
    seconds: float
    cpu_seconds: float
    folder: Path

    @property
    def name(self) -> str:
        """The settings as text: the name of its folder, and of the run in TensorBoard."""
        return run_name(self.settings)

    def curve(self, tag: str) -> tuple[list[int], list[float]]:
        """Steps and values of a scalar that it logged, read from its event file.

        Empty for a tag that it didn't log.
        """
        scalars = _scalars(self.folder, (self.folder / RESULT).stat().st_mtime_ns)
        return scalars.get(tag, ([], []))


class Sweep:
    """Runs of ``train``, each with the settings of one of ``runs``, on a client's workers.

    ``train(settings, data, writer)`` is one training. It logs to ``writer``, a ``SummaryWriter``,
    and returns what it came to, {name: number}. It travels to the workers, and so does ``data``,
    an ``ImageData`` or None; what it logged travels back, and is written below ``folder``, in a
    folder a run. Together with the settings these numbers make the runs comparable in
    TensorBoard's HParams pane.

    Iterate over it inside a ``with`` block: each ``Run`` comes when it has ended. Leaving the
    block, by an error or an interrupt too, calls off the runs that haven't begun. Runs that are
    finished in ``folder``, with the same settings, ``train``, data and course, aren't repeated;
    they come first. A failed run isn't finished. ``runs`` that a dying worker had are done by
    another.

    ``already`` lists the runs that were there, ``finished`` what has come so far; ``left`` counts
    the runs that haven't, ``running`` those that workers are busy with.

    Raises ValueError if two runs have the same settings or one can't name a folder, TypeError if
    ``train`` has no source that could be compared, OSError if ``folder`` can't be written, and,
    while iterating, ClusterError if the scheduler is lost.
    """

    def __init__(
        self,
        client: Client,
        train: Train,
        runs: list[dict],
        data: ImageData | None,
        folder: Path | str,
    ) -> None:
        self.folder = Path(folder)
        self.finished: list[Run] = []
        names = [run_name(settings) for settings in runs]
        name, times = Counter(names).most_common(1)[0] if names else ("", 0)
        if times > 1:
            raise ValueError(f"two runs have the same settings: {name}")
        packed = _pack(data)
        # What a result depends on, beside its settings.
        try:
            self._code = _digest(*map(inspect.getsource, (train, model, data_module)), packed)
        except (OSError, TypeError) as error:
            raise TypeError(f"train must be a function from a cell or a file: {error}") from None
        self._client, self._train, self._packed = client, train, packed
        self._futures: dict[Future, dict] = {}
        self._runs = runs
        self.folder.mkdir(parents=True, exist_ok=True)
        stored = [read_run(self.folder / name, self._code) for name in names]
        self.already = [
            run
            for run, settings in zip(stored, runs, strict=True)
            if run and run.status != "failed" and run.settings == settings
        ]

    @property
    def left(self) -> int:
        """How many runs haven't come yet."""
        return len(self._runs) - len(self.finished)

    @property
    def running(self) -> int:
        """How many runs the workers are busy with: as many as there are workers, until the end."""
        return min(self.left, len(self._client.nthreads()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.cancel(list(self._futures))
        self._futures.clear()

    def __iter__(self) -> Iterator[Run]:
        there = {run.name for run in self.already}
        missing = [settings for settings in self._runs if run_name(settings) not in there]
        for run in self.already:
            self.finished.append(run)
            yield run
        suspects: list[dict] = []
        yield from self._train_all(missing, suspects)
        # A worker that dies is held against every run that it had, waiting ones too. Alone, each
        # is killed by nothing but itself.
        for settings in suspects:
            yield from self._train_all([settings], None)

    def _train_all(self, missing: list[dict], suspects: list[dict] | None) -> Iterator[Run]:
        """Each run when it has ended; those whose workers died again and again go to suspects."""
        if not missing:
            return
        self._submit(missing)
        for future in as_completed(list(self._futures), loop=self._client.loop):
            settings = self._futures.pop(future)
            killed = future.status == "error" and isinstance(future.exception(), KilledWorker)
            if killed and suspects is not None:
                suspects.append(settings)
                continue
            answer = self._answer(future)
            future.release()  # the worker needn't keep it
            self.finished.append(_write_run(self.folder, settings, answer, self._code))
            yield self.finished[-1]

    def _submit(self, missing: list[dict]) -> None:
        token = uuid.uuid4().hex[:8]  # another sweep on the same cluster has other keys
        # As bytes, which the scheduler hands on without a look: so it needs neither torch nor the
        # course. And as a task: a worker that dies with its result leaves a way to get it back.
        code = cloudpickle.dumps(partial(train_one, self._train, self._packed))
        one = self._client.submit(cloudpickle.loads, code, key=f"code-{token}")
        for settings in missing:
            key = ("train-" + token, run_name(settings))
            future = self._client.submit(operator.call, one, settings, VERSIONS, key=key)
            self._futures[future] = settings

    def _answer(self, future: Future) -> dict:
        """What ``train_one`` returned; for a run that never could, a failure in its form."""
        if future.status == "cancelled" or self._client.status != "running":
            raise ClusterError(
                f"the scheduler is gone: {len(self.finished)} of {len(self._runs)} runs are "
                f"finished and kept in {self.folder}. Start it again, connect, and run this "
                "again: it goes on from there."
            )
        error = future.exception()
        if error is None:
            return future.result()
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        times = {"started": 0.0, "seconds": 0.0, "cpu_seconds": 0.0}
        failure = {"status": "failed", "error": reason, "metrics": {}, "worker": "", "files": {}}
        return failure | times


def train_one(train: Train, packed: bytes, settings: dict, expected: dict[str, str]) -> dict:
    """One run, in a worker: what it came to, and the bytes of the files that it wrote."""
    torch.set_num_threads(1)  # the same sums in the same order on every worker
    status, metrics, error = "done", {}, ""
    started, cpu_started = time.time(), time.process_time()
    try:
        worker = get_worker()
        address, place = worker.address, worker.local_directory  # removed if the worker dies
    except ValueError:
        address, place = "", None  # not in a worker
    with tempfile.TemporaryDirectory(dir=place) as folder:
        with SummaryWriter(folder) as writer:
            try:
                if expected != VERSIONS:
                    raise ClusterError(f"this worker has {VERSIONS}, expected {expected}")
                returned = train(settings, _unpack(packed), writer)
                metrics = {name: float(value) for name, value in returned.items()}
                if not all(map(math.isfinite, metrics.values())):
                    status = "diverged"
            except (Exception, SystemExit) as exception:
                status = "failed"
                error = traceback.format_exception_only(exception)[-1].strip()
                writer.add_text("error", f"```\n{traceback.format_exc()}\n```")
            _log_hparams(writer, settings, metrics)
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return {
        "status": status,
        "metrics": metrics,
        "error": error,
        "worker": address,
        "started": started,
        "seconds": time.time() - started,
        "cpu_seconds": time.process_time() - cpu_started,
        "files": files,
    }


def run_name(settings: dict) -> str:
    """Settings as the name of a folder: "learning_rate=0.01,batch_size=32,seed=0".

    Raises ValueError for settings that make no name: none at all, or with other characters than
    letters, digits and _.+-
    """
    name = ",".join(f"{key}={value}" for key, value in settings.items())
    if not re.fullmatch(r"[\w.,=+-]{1,200}", name):
        raise ValueError(f"these settings can't name a folder: {settings}")
    return name


def read_run(folder: Path, code: str | None = None) -> Run | None:
    """The run in a folder; None if there is none, or if ``code`` isn't what it was made with."""
    try:
        stored = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        if code not in (None, stored.pop("code")):
            return None
        stored["metrics"] = {name: float(value) for name, value in stored["metrics"].items()}
        return Run(**stored, folder=folder)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # not there, or damaged


def _write_run(folder: Path, settings: dict, answer: dict, code: str) -> Run:
    """Write a run's files and its result; it is there as a whole or not at all."""
    files = answer.pop("files")
    run = Run(settings=settings, **answer, folder=folder / run_name(settings))
    parts = Path(tempfile.mkdtemp(prefix=".run-", dir=folder.parent))
    try:
        for name, content in files.items():
            (parts / name).parent.mkdir(parents=True, exist_ok=True)
            (parts / name).write_bytes(content)
        stored = asdict(run) | {"code": code}
        del stored["folder"]
        # JSON knows no nan and no infinity
        stored["metrics"] = {
            name: value if math.isfinite(value) else str(value)
            for name, value in run.metrics.items()
        }
        (parts / RESULT).write_text(json.dumps(stored, indent=1, allow_nan=False), "utf-8")
        parts.chmod(0o777 & ~_umask())
        shutil.rmtree(run.folder, ignore_errors=True)
        os.rename(parts, run.folder)
    except BaseException:
        shutil.rmtree(parts, ignore_errors=True)
        raise
    return run


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _log_hparams(writer: SummaryWriter, settings: dict, metrics: dict[str, float]) -> None:
    """The run's line in TensorBoard's HParams pane, in the file of its curves."""
    finals = {f"final/{name}": value for name, value in metrics.items()}
    # SummaryWriter.add_hparams would begin a second run for it.
    for summary in hparams(settings, finals):
        writer.file_writer.add_summary(summary)
    for tag, value in finals.items():
        writer.add_scalar(tag, value)


@lru_cache(maxsize=4096)
def _scalars(folder: Path, changed: int) -> dict[str, tuple[list[int], list[float]]]:
    """All the scalars of a folder's event file, by tag. ``changed`` makes a new file a new call."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {
        tag: tuple(zip(*((p.step, p.value) for p in events.Scalars(tag)), strict=True))
        for tag in events.Tags()["scalars"]
    }


def _pack(data: ImageData | None) -> bytes:
    """A dataset as compressed bytes, a byte a pixel: what it was in its files."""
    if data is None:
        return b""
    arrays = []
    for images, labels in (data.train.tensors, data.test.tensors):
        arrays += [images.mul(255).round().byte().cpu().numpy(), labels.byte().cpu().numpy()]
    head = json.dumps([[array.shape for array in arrays], data.classes]).encode()
    return zlib.compress(b"\n".join([head, b"".join(a.tobytes() for a in arrays)]), 1)


@lru_cache(maxsize=1)  # a worker has many runs with the same data
def _unpack(packed: bytes) -> ImageData | None:
    if not packed:
        return None
    head, content = zlib.decompress(packed).split(b"\n", 1)
    shapes, classes = json.loads(head)
    content = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    flat = content.split(list(map(math.prod, shapes)))
    parts = [pixels.reshape(shape) for pixels, shape in zip(flat, shapes, strict=True)]
    datasets = [
        TensorDataset(images.float().div_(255), labels.long())
        for images, labels in (parts[:2], parts[2:])
    ]
    return ImageData(*datasets, classes)


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()[:16]
