"""Where tensors lie in one memory: held against the elements themselves."""

import itertools

import pytest
import torch

from helpers.hiddenlayer.memory import Memory, covers, overlap, storage_of

BASE = torch.arange(24).view(4, 6)
VIEWS = {
    "all": BASE,
    "turned": BASE.T,
    "first row": BASE[0],
    "last row": BASE[3],
    "left": BASE[:, :3],
    "right": BASE[:, 3:],
    "every second": BASE.view(-1)[::2],
    "the others": BASE.view(-1)[1::2],
    "one": BASE[1, 1],
    "none": BASE[:0],
}


@pytest.mark.parametrize(("one", "other"), list(itertools.product(VIEWS, repeat=2)))
def test_two_views_overlap_if_they_share_an_element(one, other):
    elements, others = (set(VIEWS[name].flatten().tolist()) for name in (one, other))
    if elements and others:
        assert overlap(VIEWS[one], VIEWS[other]) == bool(elements & others)
        if covers(VIEWS[one], VIEWS[other]):
            assert elements >= others


def test_what_covers_is_known_where_it_matters():
    assert covers(BASE, BASE[1])
    assert covers(BASE[1], BASE[1, 2:4])
    assert not covers(BASE[1], BASE)
    assert not covers(BASE[:, ::2], BASE)


def test_the_writers_of_a_part_are_those_who_wrote_there_since():
    memory = Memory()
    memory.write(1, ("early",), BASE[0])
    memory.write(2, ("left",), BASE[:, :3])
    memory.write(3, ("last row",), BASE[3])
    assert memory.writers_of(BASE[0, 4:], since=0) == (("early",), True)
    assert memory.writers_of(BASE[0], since=1) == (("left",), False)
    assert memory.writers_of(BASE[3], since=0) == (("last row",), True)
    assert memory.writers_of(BASE, since=3) == ((), False)
    assert memory.written_since(2)
    assert not memory.written_since(3)


def test_views_have_their_bases_storage_and_copies_their_own():
    assert storage_of(BASE) == storage_of(BASE[1:]) != storage_of(BASE.clone())
    assert storage_of(torch.eye(2).to_sparse()) is None
