"""The table to keep, in the chapter and on one page."""

from helpers.clinic import ILLNESSES
from helpers.clinic.table import draw_table, rows, table


def test_the_table_has_every_illness_with_its_cure():
    lines = table().splitlines()
    assert len({line.count("|") for line in lines}) == 1
    for illness in ILLNESSES:
        if illness.name != "healthy":
            (line,) = (line for line in lines if f"**{illness.name}**" in line)
            assert illness.shows in line
            assert illness.cure in line


def test_a_sight_is_named_once_above_its_illnesses():
    named, illnesses = [], []
    for line in table().splitlines()[2:]:
        sight, illness, *_ = (cell.strip() for cell in line.strip("|").split(" | "))
        if sight:
            named.append(sight)
        illnesses.append((named[-1], illness.strip("*")))
    assert len(named) == len(set(named))
    assert illnesses == [(sight, illness.name) for sight, illness in rows()]


def test_the_poster_has_room_for_all_its_words(tmp_path):
    figure = draw_table()
    figure.savefig(tmp_path / "table.pdf")
    assert (tmp_path / "table.pdf").read_bytes().startswith(b"%PDF")
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    page = figure.bbox
    for box in boxes:
        assert page.x0 <= box.x0 and box.x1 <= page.x1
        assert page.y0 <= box.y0 and box.y1 <= page.y1
    words = " ".join(text.get_text() for text in figure.axes[0].texts).split()
    for illness in ILLNESSES:
        if illness.name != "healthy":
            assert set(illness.cure.split()) <= set(words)
    for number, box in enumerate(boxes):
        assert not any(box.shrunk(0.98, 0.9).overlaps(other) for other in boxes[number + 1 :])
