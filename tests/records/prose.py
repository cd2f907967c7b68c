"""The numbers, links and pictures in a chapter's text, and where each number comes from."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image

from tests.markdown import pictures

VALUES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
VALUES |= {"nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20}
VALUES |= {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "hundred": 100, "thousand": 1000}
VALUES |= {"dozen": 12, "half": 1 / 2, "third": 1 / 3, "thirds": 1 / 3}
VALUES |= {"quarter": 1 / 4, "quarters": 1 / 4, "fifth": 1 / 5, "tenth": 1 / 10}

DIGITS = r"\d+(?:,\d{3})*(?:\.\d+)?"
NUMBER = re.compile(rf"(?<![\w.]){DIGITS}|(?<=\dx){DIGITS}|\b(?:{'|'.join(VALUES)})\b", re.I)
"""What counts as a number in a sentence: digits, and words from "two" on, "half" among them."""

STANDS = re.compile(
    rf"(?<![\w.])(?<!e-){DIGITS}(?![\w.\]])|(?<=\dx){DIGITS}(?=x|\b)|(?<![\w.]){DIGITS}(?=x\d)"
)
"""A number in an output or in code: not a part of a name, an index or an exponent."""

NO_CLAIMS = re.compile(
    r"`[^`]*`"  # code
    r"|<img[^>]*>|\]\([^)]*\)"  # pictures and addresses, which have tests of their own
    r"|^# \d|^### \d\. .+ \([^)]+\)$|\bchapter \d|\bexercises? \d(?: and \d)?"  # numbering
    r"|^- \*\*How long it takes.*$",  # the README and the benchmarks have times
    re.I | re.M,
)
"""What holds no number that a sentence claims."""

HEADING = re.compile(r"^(?=#{1,3} (?!\d\. ))", re.M)
"""Where a section begins. The exercises are one, with their solutions."""


def value(number: str) -> float:
    return VALUES.get(number.lower()) or float(number.replace(",", ""))


@dataclass
class Section:
    """What stands between two headings: the text, the code, and the outputs of the code."""

    heading: str
    text: str = ""
    code: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    @property
    def plain(self) -> str:
        """The text with spaces in place of what holds no claims, at the same places."""
        return NO_CLAIMS.sub(lambda found: " " * len(found[0]), self.text)


def sections(path: Path) -> list[Section]:
    """A chapter's sections; what comes first is the chapter's own."""
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            found[-1].code += cell.source.splitlines()
            for output in cell.outputs:
                data = output.get("data", {})
                words = [output.get("text", ""), data.get("text/plain", "")]
                words += re.findall(r"<text[^>]*>([^<]+)<", data.get("image/svg+xml", ""))
                lines = [line for text in words for line in text.splitlines()]
                found[-1].outputs += [re.sub(r"^Exercise \d: ", "", line) for line in lines]
            continue
        for piece in filter(None, HEADING.split(cell.source)):
            if HEADING.match(piece):
                found.append(Section(piece.splitlines()[0]))
            found[-1].text += piece + "\n"
    return found


def evidence(number: str, section: Section, chapter: list[Section]) -> str | None:
    """The line of the section's outputs or code in which a number stands, or of a parameter's.

    A chapter's opening and its close speak of all of it.
    """
    about_all = section.heading.startswith("# ") or section.heading == "## What you saw"
    places = chapter if about_all else [section]
    parameters = [line for part in chapter[:1] for line in part.code if " = " in line]
    for lines in ([s.outputs for s in places], [s.code for s in places], [parameters]):
        for line in (line for part in lines for line in part):
            for found in STANDS.finditer(line):
                if value(found[0]) == value(number):
                    rest = line[: found.start()], line[found.end() :]
                    before, after = (re.sub(DIGITS, "#", part).strip() for part in rest)
                    return f"{before[-40:]} [{found[0]}] {after[:40]}".strip()
    return None


def context(text: str, start: int, end: int) -> str:
    """Some words around a part of a text, which is put into brackets."""
    before, after = text[:start].split()[-4:], text[end:].split()[:4]
    glue = "" if text[:start][-1:].strip() else " "
    return f"{' '.join(before)}{glue}[{text[start:end]}]{'' if text[end:][:1].strip() else ' '}" + (
        " ".join(after)
    )


def spans(pattern: str, text: str) -> list[re.Match]:
    """Where a pattern stands in a text; a # in it is a number, and a blank any white space."""
    pieces = [r"\s+".join(map(re.escape, piece.split(" "))) for piece in pattern.split("#")]
    return list(re.finditer(f"({NUMBER.pattern})".join(pieces), text, re.I))


def glance(picture: Path) -> str:
    """A stored picture at a glance: the brightness of each of 4 x 4 fields, row by row."""
    with Image.open(picture) as image:
        small = image.convert("L").resize((4, 4), Image.Resampling.BOX)
    return f"~ {' '.join(map(str, np.asarray(small).ravel()))}"


def says(path: Path, claimed: set[tuple[str, int]]) -> str:
    """The numbers, links and pictures of a chapter's text, section by section.

    A number is given with its neighbours and with what it comes from; those in ``claimed``, by
    heading and place, are left out: they are computed.
    """
    lines, chapter = [], sections(path)
    for section in chapter:
        lines += ["", section.heading]
        lines += re.findall(r"^### \d\. .+$", section.text, re.M)  # the exercises' titles and times
        for number in NUMBER.finditer(section.plain):
            if (section.heading, number.start()) not in claimed:
                lines.append(f"{context(section.text, *number.span())}")
                lines.append(f"    from: {evidence(number[0], section, chapter)}")
        for words, target in re.findall(r"(?<!!)\[([^\]]+)\]\(([^)]+)\)", section.text):
            lines.append(f"link: {words} -> {target}")
        for picture in pictures(section.text):
            lines.append(f"picture: {picture.target}, {picture.width}: {picture.description}")
            file = path.parent / picture.target
            lines.append(f"    looks {glance(file)}")
            lines.append(f"    file {hashlib.sha256(file.read_bytes()).hexdigest()[:12]}")
    return "\n".join(lines)
