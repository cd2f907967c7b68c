"""What data/build_clinic.py measured: every patient with five seeds, and every cure with one."""

import csv

from helpers.clinic import CLINIC_DIR

WORDS = {"patient", "state", "unreached_layers", "first_layer", "last_layer", "worst_class"}


def read():
    """Rows as dictionaries; what is a number is a float."""
    with (CLINIC_DIR / "measured.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            yield {name: v if name in WORDS else float(v) for name, v in row.items()}
