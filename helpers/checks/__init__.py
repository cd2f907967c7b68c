"""The checks of the exercises: ``from helpers.checks.chapter_1 import check_1_1``.

``answers.py`` says how a check answers; each chapter's checks have a file of their own. A check
knows the truth by another way than the solution takes, and the mistakes that people make.
"""
