"""Write the chapters without their solutions, for a class: a folder that can be handed out.

    python docs/student.py [FOLDER]     # data/outputs/student by default

Beside the chapters come their pictures, the helpers that they import, and the data that these
read, each at the same place as in the course. What the cells put out is as it is stored.
"""

import shutil
import sys
from pathlib import Path

import nbformat
from chapters import NOTEBOOKS, ROOT
from nbconvert.preprocessors import TagRemovePreprocessor

NOT_FOR_THEM = shutil.ignore_patterns("outputs", "MNIST", "FashionMNIST", "__pycache__")


def write_student(folder: Path) -> None:
    """Write the student edition into ``folder``, in place of an older one."""
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("notebooks/images", "helpers", "data"):
        shutil.copytree(ROOT / part, folder / part, ignore=NOT_FOR_THEM)
    remover = TagRemovePreprocessor(remove_cell_tags={"solution"})
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook, _ = remover.preprocess(nbformat.read(path, as_version=4), {})
        nbformat.write(notebook, folder / "notebooks" / path.name)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "data" / "outputs" / "student"
    write_student(target)
    print(f"The chapters without their solutions are in {target}")
