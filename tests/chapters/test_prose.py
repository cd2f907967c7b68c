"""What the chapters' sentences say: numbers, links, pictures."""

import re

import pytest

from tests.chapters.claims import CLAIMS
from tests.chapters.test_records import chapters, check
from tests.conftest import CHAPTERS, ROOT
from tests.records.prose import NUMBER, evidence, says, sections, spans, value

ROUGHLY = 0.15
"""How far a number in words, such as a third, may be from what it stands for."""


def place(chapter: int, pattern: str):
    """The section and the match of a claim's pattern, which stands once in its chapter."""
    found = [
        (section, match)
        for section in sections(CHAPTERS[chapter - 1])
        for match in spans(pattern, section.text)
    ]
    assert len(found) == 1, f"chapter {chapter} has {len(found)} times: {pattern}"
    return found[0]


def claimed(chapter: int) -> set[tuple[str, int]]:
    """Heading and place of each number in a chapter that a claim computes."""
    found = [place(number, pattern) for number, pattern, _ in CLAIMS if number == chapter]
    return {
        (section.heading, match.start(group + 1))
        for section, match in found
        for group in range(len(match.groups()))
    }


@pytest.mark.parametrize(("chapter", "pattern", "truth"), CLAIMS, ids=[c[1] for c in CLAIMS])
def test_a_claim_holds(chapter, pattern, truth):
    _, match = place(chapter, pattern)
    truth = truth(sections(CHAPTERS[chapter - 1])) if callable(truth) else truth
    truths = truth if isinstance(truth, tuple) else (truth,)
    for said, true in zip(match.groups(), truths, strict=True):
        if said[0].isdigit():
            digits = len(said.partition(".")[2])
            assert abs(value(said) - true) <= 0.5 * 10**-digits + 1e-9, f"{said}, it is {true}"
        else:
            assert abs(value(said) - true) <= (ROUGHLY * true if true < 1 else 0), f"it is {true}"


@chapters
def test_every_number_in_a_sentence_comes_from_somewhere(path):
    """From a claim, or from the code or the outputs of its section."""
    chapter = sections(path)
    known = claimed(int(path.stem[:2]))
    unknown = [
        f"{section.heading}: ...{section.text[max(0, m.start() - 40) : m.end() + 30]!r}"
        for section in chapter
        for m in NUMBER.finditer(section.plain)
        if (section.heading, m.start()) not in known and not evidence(m[0], section, chapter)
    ]
    assert not unknown, "say in claims.py what these are:\n" + "\n".join(unknown)


@chapters
def test_numbers_links_and_pictures_are_those_recorded(path):
    check(f"{path.stem}.prose.txt", says(path, claimed(int(path.stem[:2]))))


def links(text: str) -> list[tuple[str, str]]:
    return re.findall(r"(?<!!)\[([^\]]+)\]\(([^)]+)\)", text)


@pytest.mark.parametrize("page", [*CHAPTERS, ROOT / "README.md"], ids=lambda path: path.stem)
def test_a_link_leads_where_its_words_say(page):
    if page.suffix == ".md":
        text = page.read_text(encoding="utf-8")
    else:
        text = "\n".join(section.text for section in sections(page))
    for words, target in links(text):
        if number := re.match(r"chapter (\d)|(\d) · ", words, re.I):
            name = target.rpartition("/")[2]
            assert name.startswith(f"0{number[1] or number[2]}_"), f"{words} leads to {target}"
        elif re.fullmatch(r"`?[\w/]+(\.\w+|/)`?", words):
            last = words.strip("`").rstrip("/").rpartition(".")[2].rpartition("/")[2]
            assert last in target, f"{words} leads to {target}"


@chapters
def test_a_chapter_that_is_named_exists(path):
    numbers = {int(chapter.stem[:2]) for chapter in CHAPTERS}
    for section in sections(path):
        named = {int(number) for number in re.findall(r"\bchapter (\d)", section.text, re.I)}
        assert named <= numbers


@chapters
def test_a_picture_stands_in_the_section_that_it_is_of(path):
    """Its file is named after the window or environment that the section's code draws, or the
    pane that the section's text or code names."""
    for section in sections(path):
        about = re.sub(r"<img[^>]*>", "", section.text) + "\n".join(section.code + section.outputs)
        about = re.sub(r"[^a-z0-9]+", " ", about.lower())
        for target in re.findall(r'<img src="images/\d\d_([^"]+)\.png"', section.text):
            words = re.sub(r"[^a-z0-9]+", " ", target.lower())
            assert f" {words} " in f" {about} ", f"{section.heading} shows {target}"
