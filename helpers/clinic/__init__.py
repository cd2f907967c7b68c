"""The clinic: trainings that went wrong, recorded, and what their pictures say."""

from helpers.clinic.chart import Chart, Record, read_chart
from helpers.clinic.diagnosis import (
    CLINIC_DIR,
    LETTERS,
    NAMES,
    Verdict,
    diagnose,
    ill_lines,
    patient,
    suspects,
)
from helpers.clinic.illnesses import ILLNESSES, Illness, cured_recipe, ill_recipe
from helpers.clinic.recipe import Recipe, train

__all__ = [
    "CLINIC_DIR",
    "ILLNESSES",
    "LETTERS",
    "NAMES",
    "Chart",
    "Illness",
    "Recipe",
    "Record",
    "Verdict",
    "cured_recipe",
    "diagnose",
    "ill_lines",
    "ill_recipe",
    "patient",
    "read_chart",
    "suspects",
    "train",
]
