"""tensorboardX's SummaryWriter, which says it when nothing more can be written.

tensorboardX (https://github.com/lanpa/tensorboardX) hands each entry to a thread of its own. On a
full disk that thread dies without a word, its queue fills, and ``add_...`` waits for ever.
"""

import contextlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorboardX
from tensorboardX.summary import hparams

from helpers.files import cannot_write
from helpers.values import bin_edges, plain

FLUSH_SECONDS = 1.0
"""How long an entry may wait for the disk, so that a run can be watched, and read when it broke."""


class SummaryWriter(tensorboardX.SummaryWriter):
    """``tensorboardX.SummaryWriter``, whose entries are written when ``add_...`` returns.

    ``add_histogram`` takes tensors of any dtype and leaves out what isn't finite: how many
    numbers that were is a scalar of its own, "not_finite/" and the tag.

    Every method raises OSError, which names the file and says what to do, when it can't be
    written: the disk is full, the folder was deleted. What was written before stays readable.
    """

    def _get_file_writer(self) -> tensorboardX.FileWriter:
        if self.file_writer is None:
            writer = super()._get_file_writer()
            writer.event_writer = _EventFile(writer.event_writer)
        return self.file_writer

    def add_histogram(
        self,
        tag: str,
        values: object,
        global_step: int | None = None,
        bins: int | str = "tensorflow",
        **options: object,
    ) -> None:
        values = np.asarray(plain(values)).astype(float)
        finite = values[np.isfinite(values)]
        if finite.size < values.size:
            missing = values.size - finite.size
            self.add_scalar(f"not_finite/{tag}", missing, global_step)
        if not finite.size:
            nothing = {"min": 0, "max": 0, "num": 0, "sum": 0, "sum_squares": 0}
            self.add_histogram_raw(
                tag, **nothing, bucket_limits=[0.0], bucket_counts=[0], global_step=global_step
            )
            return
        if isinstance(bins, int):
            bins = bin_edges(finite, bins)
        elif abs(finite).max() > 1e19:  # beyond tensorboardX's own bins
            bins = bin_edges(finite, 64)
        with np.errstate(over="ignore"):  # a sum of squares may be infinite
            super().add_histogram(tag, finite, global_step, bins, **options)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: dict[str, float],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        for tag in tag_scalar_dict:  # a file for each line, in a folder of its own
            folder = os.path.join(self._get_file_writer().get_logdir(), main_tag, tag)
            if folder not in self.all_writers:
                writer = tensorboardX.FileWriter(folder)
                writer.event_writer = _EventFile(writer.event_writer)
                self.all_writers[folder] = writer
        super().add_scalars(main_tag, tag_scalar_dict, global_step, walltime)

    def close(self) -> None:
        writers = [*(self.all_writers or {}).values()]
        try:
            super().close()
        finally:  # where one can't be written, the others are closed all the same
            for writer in writers:
                writer.event_writer.close()

    def add_hparams(
        self,
        hparam_dict: dict,
        metric_dict: dict,
        name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        with SummaryWriter(os.path.join(self.logdir, name or str(time.time()))) as run:
            for summary in hparams(hparam_dict, metric_dict):
                run.file_writer.add_summary(summary)
            for tag, value in metric_dict.items():
                run.add_scalar(tag, value, global_step)

    def add_embedding(self, *args: object, **options: object) -> None:
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # of thumbnails that it never set
                super().add_embedding(*args, **options)
        except OSError as error:  # the projector's files are files of their own
            if error.errno is None:  # said before
                raise
            raise cannot_write(self.logdir, error) from None


class _EventFile:
    """Stands where tensorboardX has a queue and a thread that empties it.

    A thread writes here too, but the caller waits for it: so an error reaches the caller, and an
    interrupt falls between two entries and never into one.
    """

    def __init__(self, queued: tensorboardX.event_file_writer.EventFileWriter) -> None:
        queued._worker.stop()
        queued._event_queue.close()
        self.get_logdir = queued.get_logdir
        self._file = queued._ev_writer
        self._thread = ThreadPoolExecutor(1)
        self._flushed = time.monotonic()
        self._error = None
        self._closed = False

    def add_event(self, event: object) -> None:
        self._run(self._file.write_event, event)
        if time.monotonic() > self._flushed + FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if not self._closed:
            self._run(self._file.flush)
            self._flushed = time.monotonic()

    def close(self) -> None:
        if self._closed:
            return
        try:
            if not self._error:
                self.flush()
        finally:
            self._closed = True
            self._thread.shutdown()
            with contextlib.suppress(OSError):  # which was said before
                self._file._py_recordio_writer.close()

    def _run(self, write: Callable, *arguments: object) -> None:
        if self._error:
            raise self._error
        path = self._file._file_name
        try:
            if not os.path.exists(path):
                raise FileNotFoundError(f"{path} was moved or deleted; begin a new run")
            try:
                written = self._thread.submit(write, *arguments)
            except RuntimeError:  # the interpreter ends, and gives no thread anything to do
                write(*arguments)
            else:
                written.result()
        except OSError as error:
            self._error = cannot_write(path, error) if error.errno else error
            raise self._error from None
