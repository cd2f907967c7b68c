"""The frame that every chapter has: its opening, its questions, its exercises, its close."""

import ast
import itertools
import re
import runpy

import nbformat
import pytest

from tests.conftest import CHAPTERS, ROOT

OPENING = ["What you'll do", "What you'll learn", "What you need", "How long it takes"]
CLOSING = ["## What you saw", "## Exercises", "## Further reading"]
LINES, WORDS = 50, 400
"""Of a cell of code, and of one of text; solutions may be longer."""

TASK = re.compile(r"### (\d)\. (.+) \((\d+ minutes|an hour|an evening)\)\n\n\S")
DETAILS = re.compile(r"<details>\n<summary>(.+?)</summary>\n\n(.+?)\n\n</details>", re.S)

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def texts(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def tags(cell):
    return cell.metadata.get("tags", [])


def opening(notebook):
    return dict(re.findall(r"^- \*\*(.+?):\*\* (\S.*)$", texts(notebook)[0], re.M))


def exercises(notebook):
    """For each exercise its five cells: task, cell to write in, check, heading, solution."""
    cells = notebook.cells
    return [cells[k : k + 5] for k, cell in enumerate(cells) if TASK.match(cell.source)]


@chapters
def test_opening_and_close(path):
    notebook = read(path)
    assert re.match(rf"# {int(path.stem[:2])} · \S", texts(notebook)[0])
    assert list(opening(notebook)) == OPENING
    headings = re.findall(r"^## .+$", "\n".join(texts(notebook)), re.M)
    assert headings[-3:] == CLOSING
    assert "## Going further" in headings


@chapters
def test_what_is_learned_is_what_the_exercises_check(path):
    notebook = read(path)
    learned = opening(notebook)["What you'll learn"].split("; ")
    assert 3 <= len(learned) <= 5
    named = [re.search(r" \(exercises? (\d)(?: and (\d))?\)\.?$", one) for one in learned]
    assert all(named), learned
    numbers = {int(number) for one in named for number in one.groups() if number}
    assert numbers == set(range(1, len(exercises(notebook)) + 1))


@chapters
def test_how_long_it_takes_is_counted(path):
    """To read: by the words and the pictures. To run: measured by hand on two quiet cores."""
    notebook = read(path)
    says = opening(notebook)["How long it takes"]
    minutes = runpy.run_path(str(ROOT / "docs" / "chapters.py"))["reading_minutes"](notebook)
    assert re.match(rf"{minutes} minutes to read, (about |under )?(half )?a minute to run", says)
    assert minutes < 60
    longest = [TASK.match(task.source)[3] for task, *_ in exercises(notebook)]
    shortest = min(int(time.split()[0]) for time in longest if time[0].isdigit())
    order = ["an evening", "an hour", *longest]
    assert f"; the exercises, from {shortest} minutes to " in says
    if set(longest) & set(order[:2]):
        assert says.endswith(f"to {min(longest, key=order.index)}.")


@chapters
def test_cells_are_small(path):
    for cell in read(path).cells:
        if cell.cell_type == "code" and "solution" not in tags(cell):
            assert len(cell.source.splitlines()) <= LINES, cell.source
        elif cell.cell_type == "markdown":
            assert len(cell.source.split()) <= WORDS, cell.source


@chapters
def test_every_wrong_choice_says_why_it_is_wrong(path):
    asked = [text for text in texts(read(path)) if text.startswith("**Check yourself.**")]
    assert 4 <= len(asked) <= 8
    for text in asked:
        choices = DETAILS.findall(text)
        assert len(choices) == text.count("<details>") == text.count("</details>") >= 3, text
        answers = [re.match(r"(Right|No)(?:, [\w ]+)?: \S", why)[1] for _, why in choices]
        assert answers.count("Right") == 1, text
        assert all(len(why.split()) >= 7 for _, why in choices), text
        assert DETAILS.sub("", text).strip().endswith("Open what you think is right.")
        assert not any("`" in choice for choice, _ in choices), "a summary is HTML: <code>"


@chapters
def test_questions_stand_at_the_end_of_different_sections(path):
    cells, heading, under = read(path).cells, None, []
    for cell, after in itertools.pairwise(cells):
        if cell.source.startswith("**Check yourself.**"):
            under.append(heading)
            assert re.match("##+ ", after.source), f"a question stands within {heading}"
        elif cell.cell_type == "markdown":
            heading = [heading, *re.findall(r"^##+ .+$", cell.source, re.M)][-1]
    assert len(set(under)) == len(under)


@chapters
def test_an_exercise_is_a_task_a_hint_a_cell_a_check_and_a_folded_solution(path):
    notebook, chapter = read(path), int(path.stem[:2])
    found = exercises(notebook)
    assert len(found) >= 4
    assert [TASK.match(task.source)[1] for task, *_ in found] == [
        str(number) for number in range(1, len(found) + 1)
    ]
    for number, (task, stub, check, heading, solution) in enumerate(found, start=1):
        ((hint, words),) = DETAILS.findall(task.source)
        assert hint == "A hint"
        assert len(words.split()) >= 8
        assert tags(stub) == ["exercise"]
        ((name, line),) = re.findall(r"^(\w+) = \.\.\.(.*)$", stub.source, re.M)
        assert line.startswith("  # "), "say of what kind the answer is to be"
        call = rf"check_{chapter}_{number}\({name}(, .+)?\)"
        assert re.fullmatch(call, check.source)
        # Its outputs too stay folded when it runs. Only a heading can do that in JupyterLab.
        assert heading.source == "#### A solution"
        assert heading.metadata["jp-MarkdownHeadingCollapsed"] is True
        assert tags(heading) == ["solution"]  # and goes with it from a class's copies
        assert "solution" in tags(solution)
        first, *_, last = solution.source.splitlines()
        assert first == "# A solution", "JupyterLab shows the first line of a folded cell"
        assert last == check.source, "the same check"
        assert solution.metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}
    solutions = [cell for cell in notebook.cells if "solution" in tags(cell)]
    assert solutions == [cell for *_, heading, solution in found for cell in (heading, solution)]
    for cell, after in itertools.pairwise(notebook.cells):
        if cell in solutions and after not in solutions:
            assert re.match("##+ ", after.source), "it would be folded away with the solution"
    assert sum("exercise" in tags(cell) for cell in notebook.cells) == len(found)


def names(cell, kind):
    found = ast.walk(ast.parse(cell.source))
    made = {n.id for n in found if isinstance(n, ast.Name) and isinstance(n.ctx, kind)}
    if kind is ast.Store:
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                made.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                made |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return made


@chapters
def test_no_cell_needs_a_solution(path):
    """So that the edition without them runs."""
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    solved = set()
    for cell in cells:
        if "solution" in tags(cell):
            solved |= names(cell, ast.Store)
        else:
            assert not (names(cell, ast.Load) & solved - names(cell, ast.Store) - known(cells)), (
                cell.source
            )


@chapters
def test_an_answer_has_a_name_of_its_own(path):
    """Three dots under a name that the chapter uses would break its cells when they run again."""
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    chapter = [cell for cell in cells if not {"exercise", "solution"} & set(tags(cell))]
    for cell in cells:
        if "exercise" in tags(cell):
            assert not names(cell, ast.Store) & set().union(*map(assigned, chapter)), cell.source


def assigned(cell):
    """The names that a cell itself assigns, outside of its functions and comprehensions."""
    found, ahead = set(), [*ast.parse(cell.source).body]
    inner = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp)
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if not isinstance(node, (*inner, ast.GeneratorExp)):
            ahead += ast.iter_child_nodes(node)
    return found


def known(cells):
    """The names that cells other than the solutions make."""
    return set().union(*(names(cell, ast.Store) for cell in cells if "solution" not in tags(cell)))
