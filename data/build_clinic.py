"""Record the clinic's patients, and measure every illness and every cure over five seeds.

    python data/build_clinic.py             # all of it, some 15 minutes on one core
    python data/build_clinic.py --patients  # the charts alone, some 2 minutes

Writes data/clinic/A, B, ..., data/clinic/lessons and data/clinic/measured.csv: the same bytes each
time on the same machine. Everything comes from helpers/clinic/illnesses.py.
"""

import argparse
import csv
import itertools
import shutil
import tempfile
from pathlib import Path

import torch

from helpers.clinic.illnesses import ILLNESSES, cured_recipe, ill_recipe
from helpers.clinic.recipe import Recipe, train
from helpers.clinic.signs import Measures, measure

CLINIC = Path(__file__).resolve().parent / "clinic"
SEEDS = range(5)
LESSONS = (
    "healthy",
    "overfitting",
    "vanishing gradients",
    "learning rate too high",
    "weight decay far too large",
    "one class nearly missing",
)
"""Whom the chapter shows before the waiting room: recordings of their own, with another seed."""


def clock() -> itertools.count:
    """A clock that shows one second more at each look, from 1 January 2026 on."""
    return itertools.count(1_767_225_600).__next__


def record_patients(folder: Path = CLINIC) -> None:
    """Each patient's chart, in a folder by the patient's letter, each with a seed of its own."""
    for number, illness in enumerate(ILLNESSES):
        shutil.rmtree(folder / illness.patient, ignore_errors=True)
        record = train(ill_recipe(illness, seed=10 + number), folder / illness.patient, clock())
        print(illness.patient, illness.name, f"{measure(record)['test_accuracy']:.3f}", flush=True)


def record_lessons(folder: Path = CLINIC / "lessons") -> None:
    """The charts with which the chapter teaches, each in a folder named by its illness."""
    shutil.rmtree(folder, ignore_errors=True)
    by_name = {illness.name: illness for illness in ILLNESSES}
    for name in LESSONS:
        train(ill_recipe(by_name[name], seed=40), folder / name, clock())


def measured(recipe: Recipe) -> Measures:
    with tempfile.TemporaryDirectory() as folder:
        return measure(train(recipe, folder))


def measure_all(path: Path = CLINIC / "measured.csv") -> None:
    """A row for each patient and seed, ill and cured."""
    with path.open("w", newline="") as file:
        for illness, seed, state in itertools.product(ILLNESSES, SEEDS, ("ill", "cured")):
            if state == "cured" and seed != SEEDS[0]:
                continue
            recipe = (ill_recipe if state == "ill" else cured_recipe)(illness, seed)
            row = {"patient": illness.patient, "state": state, "seed": seed, **measured(recipe)}
            if file.tell() == 0:
                writer = csv.DictWriter(file, row, lineterminator="\n")
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
            file.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", action="store_true", help="record, but don't measure")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # sums are rounded in an order that depends on the threads
    record_patients()
    record_lessons()
    if not arguments.patients:
        measure_all()


if __name__ == "__main__":
    main()
