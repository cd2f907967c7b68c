"""How the check of an exercise answers: in one line, and never with an error."""

import functools
import textwrap
from collections.abc import Callable

CONFUSED = (TypeError, ValueError, LookupError, AttributeError, RuntimeError)
"""What reading an answer raises if it isn't of the kind that is asked for."""


class NotYet(Exception):
    """What a check says to a wrong answer: a sentence that leads on and doesn't give it away."""


def check(wanted: str) -> Callable:
    """Make the check of an exercise from a function of the reader's answer.

    The function's name is ``check_2_1`` for chapter 2's first. It gets the answer, and what else
    the chapter hands over. It returns what a right answer is told, and raises NotYet for a wrong
    one. ``wanted`` says of what kind an answer is: "a dictionary {name: number}".

    The check prints its answer and returns None. ``...`` is what stands where nobody has written
    yet: it is "not tried yet", so that a run of all cells goes on. An answer of another kind is
    told what is wanted.
    """

    def decorate(function: Callable[..., str]) -> Callable[..., None]:
        number = function.__name__.rpartition("_")[2]

        @functools.wraps(function)
        def checked(answer: object, *more: object) -> None:
            if answer is ...:
                say = "not tried yet. Write your answer in place of the three dots."
            else:
                try:
                    say = f"right. {function(answer, *more)}"
                except NotYet as sentence:
                    say = f"not yet. {sentence}"
                except CONFUSED:
                    given = textwrap.shorten(repr(answer), 60)
                    say = f"not yet. The answer is to be {wanted}; this is {given}"
            print(textwrap.fill(f"Exercise {number}: {say}", 100))

        return checked

    return decorate


def called(function: Callable, *arguments: object) -> object:
    """What a reader's function returns; NotYet with its error, if it raises one or is none."""
    if not callable(function):
        raise TypeError(f"{function!r} is no function")
    try:
        return function(*arguments)
    except Exception as error:
        raise NotYet(f"Your function raised {type(error).__name__}: {error}") from error
