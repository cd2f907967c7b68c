"""Images in memory: the embedded MNIST sample, MNIST, Fashion-MNIST, and a loader for them."""

import gzip
import hashlib
import os
import queue
import shlex
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torchvision
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
)

DATA_DIR = Path(__file__).resolve().parent.parent / "data"
SAMPLE_DIR = DATA_DIR / "mnist-sample"
DEBIAN_FASHION_DIR = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts its files."""

DATASETS = ("mnist-sample", "mnist", "fashion-mnist")

SAMPLE_SHA256 = {
    "train-images-idx3-ubyte": "5e532287a3b2836edcf643bf399a36b55dcfaa15d8fd28576d4ef8ea979d51fe",
    "train-labels-idx1-ubyte": "5de1d5a2af0c776beb4cbf9655898060fb6b46f5accd019c0293e50f5f181c0c",
    "t10k-images-idx3-ubyte": "fae6e12e00d12a1ddb45a180d3d34dc044bc6d7b98f3c6307b7776c9e4b3d356",
    "t10k-labels-idx1-ubyte": "479ebd6bc034b0dae92447b82eab321b0b5e49a811cf806a298b1c676fbcba25",
}
"""Of the embedded files, unpacked."""

DOWNLOAD_TIMEOUT = 5.0
"""Seconds without a byte after which a mirror is given up."""

DIGITS = [str(digit) for digit in range(10)]
GARMENTS = torchvision.datasets.FashionMNIST.classes


class ImageData(NamedTuple):
    """A training part, a test part, and the class names.

    Each part is a ``TensorDataset`` of float32 images (N, 1, 28, 28) in [0, 1] and int64
    labels (N,) that index ``classes``.
    """

    train: TensorDataset
    test: TensorDataset
    classes: list[str]


class DatasetError(RuntimeError):
    """A dataset can't be had or can't be read; the message says what to do."""


def load_dataset(name: str = "mnist-sample", root: Path | str = DATA_DIR) -> ImageData:
    """Load a dataset into memory, downloading it at first use where it isn't embedded.

    ================= ======== ======= =====================================================
    name              training test    from
    ================= ======== ======= =====================================================
    ``mnist-sample``     8,000   2,000 the course's own ``data/`` folder; no network
    ``mnist``           60,000  10,000 ``root``/MNIST/raw, else torchvision's mirrors
    ``fashion-mnist``   60,000  10,000 ``root``/FashionMNIST/raw, else Debian's package
                                       dataset-fashion-mnist, else torchvision's mirrors
    ================= ======== ======= =====================================================

    ``root`` has torchvision's layout, so files that torchvision left there are used; plain or
    gzipped, and also as train-images.idx3-ubyte, as some programs unpack them. Where there are
    two of a kind, one that is damaged is passed over. A download shows a progress bar, is
    verified by torchvision's checksums, and reaches ``root`` only when it is complete.

    Raises ValueError for an unknown name, and DatasetError if the files can't be had
    (no network, a mirror that doesn't answer, a folder that can't be written) or if one of
    them is truncated or corrupt.
    """
    match name:
        case "mnist-sample":
            folder, classes = SAMPLE_DIR, DIGITS
        case "mnist":
            folder, classes = _raw_folder(torchvision.datasets.MNIST, name, Path(root)), DIGITS
        case "fashion-mnist":
            folder = _raw_folder(torchvision.datasets.FashionMNIST, name, Path(root))
            classes = GARMENTS
        case _:
            raise ValueError(f"unknown dataset {name!r}: choose one of {', '.join(DATASETS)}")
    return ImageData(_read_split(folder, "train"), _read_split(folder, "t10k"), list(classes))


def make_loader(
    dataset: Dataset, batch_size: int = 128, shuffle: bool = True, seed: int = 0
) -> DataLoader:
    """Batches of a dataset whose tensors are already in memory.

    Yields images (B, 1, 28, 28) and labels (B,) for ``load_dataset``'s parts; the last batch
    holds what is left over. A batch is one indexing of the tensors, not B single images put
    together, which is what makes it nearly free (PyTorch calls this "disabling automatic
    batching"). ``seed`` fixes the order: the same from loader to loader, another in each
    epoch. The random state of torch itself isn't used.

    Raises ValueError if ``batch_size`` isn't a positive integer or the dataset is empty.
    """
    generator = torch.Generator().manual_seed(seed)
    sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
    batches = BatchSampler(sampler, batch_size, drop_last=False)
    return DataLoader(dataset, sampler=batches, batch_size=None, generator=generator)


def _file_names(split: str) -> tuple[str, str]:
    return f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte"


def _candidates(folder: Path, name: str) -> Iterator[Path]:
    """The files that may be the IDX file of that name: plain or gzipped, in either spelling."""
    for spelling in (name, name.replace("-idx", ".idx")):
        for path in (folder / spelling, folder / f"{spelling}.gz"):
            if path.is_file():
                yield path


def is_complete(folder: Path) -> bool:
    """Whether a folder holds a dataset's four IDX files, each plain or gzipped."""
    names = [name for split in ("train", "t10k") for name in _file_names(split)]
    return all(any(_candidates(folder, name)) for name in names)


def _raw_folder(dataset_class: type, name: str, root: Path) -> Path:
    """The folder that holds a dataset's four IDX files, downloaded if need be."""
    raw = root / dataset_class.__name__ / "raw"
    if is_complete(raw):
        return raw
    if name == "fashion-mnist" and is_complete(DEBIAN_FASHION_DIR):
        return DEBIAN_FASHION_DIR
    _download(dataset_class, name, raw)
    return raw


def _download(dataset_class: type, name: str, raw: Path) -> None:
    """Download into a folder beside ``raw``, and move the files when everything is verified."""
    timeout = socket.getdefaulttimeout()
    try:
        raw.parent.mkdir(parents=True, exist_ok=True)
        _wait_for_a_mirror(dataset_class)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=raw.parent) as folder:
            # torchvision sets no timeout of its own, and would wait for a silent mirror for ever.
            socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
            complete = Path(dataset_class(folder, download=True).raw_folder)
            raw.mkdir(exist_ok=True)
            for file in complete.iterdir():
                os.replace(file, raw / file.name)
    except (OSError, RuntimeError, ValueError, EOFError, zlib.error) as error:
        at_fault = (
            f"{raw.parent} can't be written"
            if isinstance(error, PermissionError | FileExistsError | NotADirectoryError)
            else "its mirrors can't be reached, or sent something else"
        )
        wanted = [name for split in ("train", "t10k") for name in _file_names(split)]
        there = sorted(path.name for path in raw.iterdir()) if raw.is_dir() else []
        raise DatasetError(
            f"{name!r} can't be downloaded: {at_fault} ({_first_line(error)}). Use "
            f"'mnist-sample', which needs no network, or put the four IDX files into {raw}: "
            f"{', '.join(wanted)}, each plain or as .gz. There is now: "
            f"{', '.join(there[:8]) or 'nothing'}."
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)


def _wait_for_a_mirror(dataset_class: type) -> None:
    """Return when one of the mirrors answers; raise OSError if none does in time.

    torchvision asks them one after the other, each at all of its addresses: behind a firewall
    that swallows packets, that takes minutes.
    """
    answers: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()

    def ask(address: str) -> None:
        try:
            urllib.request.urlopen(address, timeout=DOWNLOAD_TIMEOUT).close()
            answers.put(None)
        except urllib.error.HTTPError:
            answers.put(None)  # what it says about this file is torchvision's business
        except OSError as error:
            answers.put(error)

    for mirror in dataset_class.mirrors:
        address = mirror + dataset_class.resources[0][0]
        # A daemon, since a look-up of a name can't be given a time limit.
        threading.Thread(target=ask, args=(address,), daemon=True).start()
    deadline = time.monotonic() + DOWNLOAD_TIMEOUT
    for _ in dataset_class.mirrors:
        try:
            error = answers.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            raise TimeoutError(f"no answer within {DOWNLOAD_TIMEOUT:g} s") from None
        if error is None:
            return
    raise error


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _read_split(folder: Path, split: str) -> TensorDataset:
    """Images and labels of one split, checked against each other."""
    images, labels = (_read_idx(folder, name) for name in _file_names(split))
    if images.shape != (len(labels), 28, 28) or labels.ndim != 1 or labels.max(initial=0) > 9:
        raise DatasetError(_damaged(folder, f"{split} images and labels don't belong together"))
    if not len(images):
        raise DatasetError(_damaged(folder, f"the files of {split} hold no image"))
    return TensorDataset(
        torch.from_numpy(images).unsqueeze(1).float().div_(255),
        torch.from_numpy(labels).long(),
    )


def _read_idx(folder: Path, name: str) -> np.ndarray:
    """A uint8 array from the first file of that name that isn't damaged."""
    reason = f"{name} is missing"
    for path in _candidates(folder, name):
        try:
            return _parse(path, SAMPLE_SHA256[name] if folder == SAMPLE_DIR else None)
        except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
            reason = f"{path.name} is truncated or corrupt: {_first_line(error)}"
    raise DatasetError(_damaged(folder, reason))


def _parse(path: Path, checksum: str | None) -> np.ndarray:
    """An IDX file of bytes: two zeros, type 8, the sizes as big-endian int32, the bytes."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if content[:3] != b"\0\0\x08":
        raise ValueError("not an IDX file of bytes")
    if checksum and hashlib.sha256(content).hexdigest() != checksum:
        raise ValueError("its checksum is another one")
    shape = np.frombuffer(content, ">i4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape).copy()


def _damaged(folder: Path, reason: str) -> str:
    remedy = {
        SAMPLE_DIR: f"Restore it with: git -C {_quoted(SAMPLE_DIR.parent.parent)} "
        "checkout -- data/mnist-sample",
        DEBIAN_FASHION_DIR: "Reinstall Debian's package dataset-fashion-mnist.",
    }.get(folder, "Delete the folder, and the next call downloads it again.")
    return f"{reason} (in {folder}). {remedy}"


def _quoted(path: Path) -> str:
    """A path as one word of the system's shell."""
    return f'"{path}"' if sys.platform == "win32" else shlex.quote(str(path))
