"""For each solution in the chapters, its truth computed another way.

``check_2_1(run, cell)`` is for chapter 2's first: the chapter's run, and the solution's cell with
its outputs. A solution without a check is red; so is one that has no result to hold against it.
"""

import itertools
import json
import pickle
import re
from collections import Counter

import numpy as np
import torch
import torchvision
from pytest import approx
from sklearn.metrics import confusion_matrix
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from helpers import hiddenlayer as hl
from helpers.clinic import CLINIC_DIR, ILLNESSES, LETTERS, ill_recipe
from helpers.clinic.signs import SIGNS
from helpers.dask.sweep import read_run, run_name
from helpers.data import load_dataset
from helpers.model import ConvNet
from tests.chapters import plain

# ---- chapter 1 ----


def shapes(model, layers, x):
    """The output shape of each of some layers, in the order in which they finish."""
    found = []
    for layer in layers:
        layer.register_forward_hook(lambda _, inputs, output: found.append(tuple(output.shape)))
    model(x)
    return found


def check_1_1(run, cell):
    model, x = ConvNet(), torch.zeros(1, 1, 28, 28)
    parts = dict(model.named_children())
    sizes = shapes(model, parts.values(), x)
    rows = []
    for (name, part), shape in zip(parts.items(), sizes, strict=True):
        count = sum(p.numel() for p in part.parameters())
        box = f"{type(part).__name__} {name}, {count:,} parameters, {'x'.join(map(str, shape))}"
        rows += [box, "Flatten "] if name == "conv2" else [box]
    assert run.printed(cell).splitlines() == rows


def check_1_2(run, cell):
    frozen = ConvNet()
    for parameter in frozen.conv1.parameters():
        parameter.requires_grad = False
    output = frozen(torch.rand(1, 1, 28, 28))
    seen, ahead = set(), [output.grad_fn]
    while ahead:
        if (node := ahead.pop()) and node not in seen:
            seen.add(node)
            ahead += [before for before, _ in node.next_functions]
    count = Counter(node.name() for node in seen)
    output.sum().backward()
    names = [name for name, p in frozen.named_parameters() if p.grad is None]
    first, *rows = run.printed(cell).splitlines()
    assert first == str(names)
    assert len(rows) == 4
    for row in rows:
        operation, number = row.split()
        assert int(number) == count[f"{operation}Backward0"]


def check_1_3(run, cell):
    with torch.device("meta"):
        model = torchvision.models.densenet121().eval()
        x = torch.zeros(1, 3, 224, 224)
    parts = [part for name, part in model.features.named_children() if "_" not in name]
    blocks = [p for n, p in model.features.named_children() if n.startswith(("dense", "trans"))]
    assert len(parts) >= len(blocks) == 7
    rows = re.findall(r"^(\S+(?: \S+)?) +(\(.*\))$", run.printed(cell), re.M)
    folded = [(kind, shape) for kind, shape in rows if kind in ("_DenseBlock", "_Transition")]
    names = ["_DenseBlock", "_Transition"] * 3 + ["_DenseBlock"]
    truth = [str(shape) for shape in shapes(model, blocks, x)]
    assert folded == list(zip(names, truth, strict=True))
    assert rows[-1] == ("Linear", "(1, 1000)")
    assert len(rows) == 16


# ---- chapter 2 ----


def check_2_1(run, cell):
    batch = run.values("with tqdm(")
    torch.manual_seed(run.parameters["seed"])
    model = ConvNet()
    nn.functional.cross_entropy(model(batch["images"]), batch["labels"]).backward()
    said = dict(re.findall(r"^(\S+) +(\S+)$", run.printed(cell), re.M))
    weights = {name: p.grad for name, p in model.named_parameters() if p.ndim > 1}
    assert said.keys() == weights.keys()
    for name, gradient in weights.items():
        size = gradient.norm().item() / gradient.numel() ** 0.5
        assert float(said[name]) == approx(size, rel=0.03)


def forty_steps(run, rate, seed):
    trained = plain.train(rate, seed, 40, run.parameters["batch_size"])
    return plain.share_right(trained.model)


def check_2_2(run, cell):
    assert forty_steps(run, 1.0, run.parameters["seed"]) < 0.2
    assert run.printed(cell) == "better than guessing one digit in five: False\n"


def check_2_3(run, cell):
    said = re.findall(r"^seed (\d+): accuracy ([\d.]+)$", run.printed(cell), re.M)
    seed = run.parameters["seed"]
    assert [int(number) for number, _ in said] == [seed, seed + 1, seed + 2]
    for number, right in said:
        truth = forty_steps(run, run.parameters["learning_rate"], int(number))
        assert float(right) == approx(truth, abs=0.02)
    assert run.values("chosen_seed = seed")["seed"] == seed  # as it was


# ---- chapter 3 ----


def check_3_1(run, cell):
    history = hl.History()
    history.load(run.output_dir / "run-1" / "history.npz")
    weights = history["hidden_weight"].data.astype(float)
    way = np.linalg.norm((weights - weights[0]).reshape(len(weights), -1), axis=1)
    ((_, figure),) = run.noted(cell)["figures"]
    (axes,) = figure["axes"]
    ((_, _, _, _, _, drawn),) = axes["drawn"]
    assert drawn == approx(way / weights[0].size ** 0.5, rel=1e-4, abs=1e-9)
    assert axes["x"]["ticks"] == [f"{epoch}:{step}" for epoch, step in history.steps]


def check_3_2(run, cell):
    model = plain.of_run(run, each_epoch=True).model
    with torch.no_grad():
        x = torch.cat(
            [
                model.conv2(model.conv1(images)).flatten(1)
                for images in load_dataset().train.tensors[0].split(500)
            ]
        )
        first = (model.fc[0].weight @ x.T + model.fc[0].bias[:, None]).clamp(min=0)
        second = (model.fc[2].weight @ first + model.fc[2].bias[:, None]).clamp(min=0)
    said = re.findall(r"fc\[\d\]: (\d+) of (\d+) neurons never fire", run.printed(cell))
    assert len(said) == 2
    for (silent, of), layer in zip(said, (first, second), strict=True):
        assert int(of) == len(layer)
        assert int(silent) == approx((layer.max(1).values == 0).sum().item(), abs=2)


def check_3_3(run, cell):
    answers = run.values("ConfusionCanvas()")["answers"]["test_images"].data[-1]
    ((_, figure),) = run.noted(cell)["figures"]
    (axes,) = figure["axes"]
    bars = {color: sizes[:, 1].tolist() for _, _, color, _, _, sizes in axes["drawn"]}
    truth = load_dataset().test.tensors[1].bincount().tolist()
    assert bars == {"#0072b2": answers.T.sum(1).tolist(), "#9ec5e3": truth}
    assert axes["legend"] == ["answers", "true images"]
    assert (axes["x"]["label"], axes["y"]["label"]) == ("class", "test images")


# ---- chapter 4 ----


def check_4_1(run, cell):
    saved = run.output_dir / "run-1" / "environments" / "gallery.json"
    windows = json.loads(saved.read_text(encoding="utf-8"))["jsons"]
    said = re.findall(r"^(\S+) +(\S+) +([\d.]+) kB$", run.printed(cell), re.M)
    assert {name for name, _, _ in said} == windows.keys()
    for name, kind, size in said:
        window = windows[name]
        assert kind == window["content"]["data"][0]["type"]
        assert float(size) == approx(len(json.dumps(window)) / 1000, rel=0.02, abs=0.1)


def check_4_2(run, cell):
    folder = run.output_dir / "run-1" / "exercise"
    kept = sorted(file.stem for file in folder.glob("*.json"))
    assert kept == ["kept", "main"]
    assert run.printed(cell) == f"{kept}\n"


def check_4_3(run, cell):
    answers = run.values("history = []")["history"][-1]
    mistakes = confusion_matrix(load_dataset().test.tensors[1], answers)
    np.fill_diagonal(mistakes, 0)
    window = run.noted(cell)["windows"]["exercises", "mistakes"]
    (trace,) = window["data"]
    assert np.array_equal(trace["z"], mistakes)
    assert trace["y"] == [f"is {digit}" for digit in range(10)]
    assert trace["x"] == [f"taken for {digit}" for digit in range(10)]


# ---- chapter 5 ----


def events(folder):
    return EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()


def ill(letter, seed=0):
    return ill_recipe(next(one for one in ILLNESSES if one.patient == letter), seed)


def named(run, cell):
    """The plain values that a solution named."""
    return {name: pickle.loads(kept) for name, kept in run.noted(cell)["values"].items()}


def check_5_1(run, cell):
    truth = [events(CLINIC_DIR / letter).Scalars("loss/train")[0].value for letter in LETTERS]
    assert named(run, cell)["first"] == approx(truth, nan_ok=True)
    high = [letter for letter, loss in zip(LETTERS, truth, strict=True) if not loss < 10]
    assert f"# {' and '.join(high)}. " in cell.source


def check_5_2(run, cell):
    log = events(run.output_dir / "run-1" / "H, step by step")
    silent = {tag: log.Scalars(tag) for tag in log.Tags()["scalars"] if tag.startswith("silent/")}
    recipe = ill("H", run.parameters["seed"])
    x = recipe.test_images
    with torch.no_grad():
        for name, layer in recipe.model.named_modules():
            x = x.flatten(1) if name == "fc" else x
            if next(layer.children(), None) is None:
                x = layer(x)
                if isinstance(layer, nn.ReLU):
                    units = x.transpose(0, 1).flatten(1)
                    share = (units <= 0).all(1).float().mean().item()
                    assert silent[f"silent/{name}"][0].value == approx(share), name
    assert max(entries[-1].value - entries[0].value for entries in silent.values()) > 0.1


def check_5_3(run, cell):
    recipe = ill("R", run.parameters["seed"])
    true = load_dataset().train.tensors[1][: len(recipe.labels)]
    wrong = recipe.labels != true
    assert 0.1 < wrong.float().mean() < 0.6
    count = int(re.match(r"(\d+) of these 16", run.printed(cell))[1])
    figure = run.noted(cell)["figures"][-1][1]
    shown = [(int(axes["title"]), axes["drawn"][0][5]) for axes in figure["axes"]]
    assert len(shown) == 16
    found = 0
    for label, pixels in shown:
        (places,) = np.nonzero((recipe.images[:, 0].numpy() == pixels).all((1, 2)))
        assert recipe.labels[places[0]] == label
        found += wrong[places[0]].item()
    assert count == found >= 12


def check_5_4(run, cell):
    grid = np.array(named(run, cell)["grid"])
    assert grid.shape == (len(LETTERS), len(SIGNS))
    columns = {sign: grid[:, number] for number, sign in enumerate(SIGNS)}
    for row, letter in enumerate(LETTERS):
        loss = events(CLINIC_DIR / letter).Scalars("loss/train")[0].value
        assert columns["starts high"][row] == (loss > 10), letter
        illness = next(one for one in ILLNESSES if one.patient == letter)
        assert all(columns[sign][row] for sign in illness.signs), letter
    assert columns["guessing"].sum() > 4


# ---- chapter 6 ----


def sweep_of(run):
    """The final accuracies of the sweep's runs, from their event files: {(rate, size): [seed]}."""
    found = {}
    pairs = itertools.product(run.parameters["learning_rates"], run.parameters["batch_sizes"])
    for rate, size in pairs:
        for seed in range(run.parameters["seeds"]):
            settings = {"learning_rate": rate, "batch_size": size, "seed": seed, "epochs": 1}
            one = read_run(run.output_dir / "mnist-sample" / run_name(settings))
            found.setdefault((rate, size), []).append(one)
    return found


def last(one):
    return one.curve("test/accuracy")[1][-1]


def lines_of(run, cell):
    return [
        drawn for drawn in run.noted(cell)["figures"][-1][1]["axes"][0]["drawn"] if "line" in drawn
    ]


def check_6_1(run, cell):
    sweep = sweep_of(run)
    ranks = named(run, cell)["ranks"]
    for seed in range(run.parameters["seeds"]):
        right = [last(runs[seed]) for runs in sweep.values()]
        assert list(ranks[seed]) == [1 + sum(other > own for other in right) for own in right]


def check_6_2(run, cell):
    values, sweep = named(run, cell), sweep_of(run)
    ones = [one for runs in sweep.values() for one in runs]
    assert sorted(values["late"]) == approx(sorted(map(last, ones)))
    assert sorted(values["early"]) == approx(sorted(o.curve("test/accuracy")[1][1] for o in ones))
    assert len(ones) / 2 <= values["kept"].sum() < len(ones)


def check_6_3(run, cell):
    sweep = sweep_of(run)
    drawn = [(list(x), list(y)) for _, _, _, _, x, y in lines_of(run, cell)]
    sizes, rates = run.parameters["batch_sizes"], run.parameters["learning_rates"]
    assert len(drawn) == 2 * len(sizes)
    for number, (x, y) in enumerate(drawn):
        size, power = sizes[number // 2], (1, 0.5)[number % 2]
        assert x == approx([rate * (min(sizes) / size) ** power for rate in rates])
        assert y == approx([np.mean([last(one) for one in sweep[rate, size]]) for rate in rates])


def check_6_4(run, cell):
    seconds = [one.cpu_seconds for runs in sweep_of(run).values() for one in runs]
    values = named(run, cell)
    assert sorted(values["durations"]) == approx(sorted(seconds))
    listed, longest, ideal = (list(y) for *_, y in lines_of(run, cell))
    for begin in (listed, longest, ideal):
        assert begin[0] == approx(sum(seconds))
    for end in (listed, longest):
        assert end[-1] == approx(max(seconds))
    for workers, (one, other, least) in enumerate(zip(listed, longest, ideal, strict=True), 1):
        assert least == approx(sum(seconds) / workers)
        assert max(least, max(seconds)) - 1e-9 <= min(one, other)
        assert one <= least + max(seconds) + 1e-9  # Graham's bound
