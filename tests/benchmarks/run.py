"""Every benchmark in one table: what `make bench` prints."""

import canvas
import course
import graph_import
import step
import threads
import training
from machine import DATASET, describe_machine
from table import print_rows


def main():
    print(f"{describe_machine()}; data: {DATASET.name}\n", flush=True)
    modules = (training, step, canvas, graph_import, threads)
    print_rows([row for module in modules for row in module.rows()])
    print()
    course.report()


if __name__ == "__main__":
    main()
