"""Every benchmark in one table: what `make bench` prints."""

import argparse
import sys

import canvas
import course
import graph_import
import step
import sweep
import threads
import training
from machine import DATASET, describe_machine
from table import print_rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5, help="of each training (default: 5)")
    epochs = parser.parse_args().epochs

    print(f"{describe_machine()}; data: {DATASET.name}\n", flush=True)
    rows = []
    for part in (
        training.rows(epochs),
        step.rows(),
        canvas.rows(),
        graph_import.rows(),
        threads.rows(),
        sweep.rows(),
    ):
        for row in part:
            rows.append(row)
            print(f"{row.ratio:8.3g}  {row.what}", file=sys.stderr, flush=True)  # how far it is
    print_rows(rows)
    print()
    course.report()


if __name__ == "__main__":
    main()
