"""What the chapters share: an experiment (``data``, ``model``), and a door for each tool.

A tool may know the experiment and ``pages``, which is what servers have in common; nothing knows
a tool but the chapters. ``tests/helpers/test_imports.py`` holds this.
"""

from helpers.runtime import settle

settle()
