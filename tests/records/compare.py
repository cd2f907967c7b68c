"""Two texts that say the same: word by word, and number by number within what is stated here.

A number is exact, unless it is marked as one that another machine may round otherwise:

- ``~0.896`` is near: within 5 % of the larger of the two, and whole numbers within 4 as well.
- Behind `` ~ `` all numbers to the end of the line are a row: within 3 % of the largest of them.

So another order of summation doesn't turn a test red, and 89.6 for 98.6 does.
"""

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path

NUMBER = re.compile(r"(?<![\w.])[-+±]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?!\d)|\bnan\b")
MARKED = re.compile(rf"~({NUMBER.pattern})")
NEAR, NEAR_WHOLE, ROW = 0.05, 4, 0.03


def value(number: str) -> float:
    return float(number.replace(",", "").replace("±", "") or "nan")


def blanked(line: str) -> str:
    """The line without the numbers that are compared within a tolerance."""
    head, tilde, row = line.partition(" ~ ")
    return MARKED.sub("~#", head) + tilde + NUMBER.sub("#", row)


def near(old: float, new: float) -> bool:
    whole = old == int(old) and new == int(new) if abs(old) < 1e15 > abs(new) else False
    return abs(old - new) <= max(NEAR * max(abs(old), abs(new)), NEAR_WHOLE * whole)


def same_numbers(old: str, new: str) -> bool:
    """Whether the marked numbers of two lines, which are otherwise alike, agree."""
    (old, _, old_row), (new, _, new_row) = old.partition(" ~ "), new.partition(" ~ ")
    pairs = zip(MARKED.findall(old), MARKED.findall(new), strict=True)
    if not all(near(value(a), value(b)) for a, b in pairs):
        return False
    rows = [[value(number) for number in NUMBER.findall(row)] for row in (old_row, new_row)]
    largest = max((abs(number) for row in rows for number in row if number == number), default=0)
    return all(
        abs(a - b) <= ROW * largest or (a != a and b != b) for a, b in zip(*rows, strict=True)
    )


def pairs(old: str, new: str) -> Iterator[tuple[list[str], list[str]]]:
    """Two texts cut into pieces that belong together: (lines, lines), equal ones line by line."""
    old, new = old.splitlines(), new.splitlines()
    before, after = [blanked(line) for line in old], [blanked(line) for line in new]
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, start, end, first, last in matcher.get_opcodes():
        if kind == "equal":
            for a, b in zip(old[start:end], new[first:last], strict=True):
                yield [a], [a if same_numbers(a, b) else b]
        else:
            yield old[start:end], new[first:last]


def differences(old: str, new: str) -> list[str]:
    """The lines in which two texts differ, with - and + as in a diff; empty if they agree."""
    found = []
    for before, after in pairs(old, new):
        if before != after:
            found += [*(f"- {line}" for line in before), *(f"+ {line}" for line in after)]
    return found


def renewed(old: str, new: str) -> str:
    """The new text, with the old one's lines where they agree."""
    return "".join(f"{line}\n" for _, after in pairs(old, new) for line in after)


def check(record: Path, now: str) -> None:
    """Compare a text with its record; with RENEW_RECORDS in the environment, renew it instead."""
    now = now.strip() + "\n"
    stored = record.read_text(encoding="utf-8") if record.exists() else ""
    if os.environ.get("RENEW_RECORDS"):
        record.parent.mkdir(exist_ok=True)
        record.write_text(renewed(stored, now), encoding="utf-8")
        return
    changed = "\n".join(differences(stored, now))
    said = f"{record.name} says something else. Meant so? make records renews it."
    assert not changed, f"{said}\n{changed}"


def marked(text: str, source: str = "") -> str:
    """The text with its numbers marked as near, but for those that stand in ``source``.

    A text that is nothing but a number is a name, as of a digit, and exact.
    """
    if NUMBER.fullmatch(text.strip('"')):
        return text
    literal = set(NUMBER.findall(source))
    return NUMBER.sub(lambda m: m[0] if m[0] in literal else f"~{m[0]}", text)
