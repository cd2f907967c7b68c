"""One exercise's check, and what it is to say to which answer."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field


def said(check: Callable, answer: object, *more: object) -> str:
    """What a check prints, in one line."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert check(answer, *more) is None
    return " ".join(printed.getvalue().split())


@dataclass
class Case:
    """A check, a right answer, mistakes under words of their sentences, and what else it gets."""

    check: Callable
    right: object
    mistakes: dict[str, object]
    more: tuple = ()
    also_right: list = field(default_factory=list)

    def __str__(self) -> str:
        return self.check.__name__

    def holds(self) -> None:
        number = self.check.__name__.rpartition("_")[2]
        assert said(self.check, ..., *self.more).startswith(f"Exercise {number}: not tried yet.")
        for answer in (self.right, *self.also_right):
            sentence = said(self.check, answer, *self.more)
            assert sentence.startswith(f"Exercise {number}: right. "), sentence
        sentences = set()
        for words, answer in self.mistakes.items():
            sentence = said(self.check, answer, *self.more)
            assert sentence.startswith(f"Exercise {number}: not yet. "), sentence
            assert words in sentence
            assert "The answer is to be" not in sentence
            sentences.add(sentence)
        assert len(sentences) == len(self.mistakes) >= 3
        assert "The answer is to be" in said(self.check, object(), *self.more)
