"""In a notebook, a server lives as long as a variable holds it.

IPython keeps what a cell has shown in ``Out``, so a server outlives the variable that held it:
Run All twice would leave two of them.
"""

import sys
import weakref
from collections.abc import Callable, Iterable


def stop_when_let_go(server: object, stop: Callable[[object], None]) -> None:
    """Call ``stop(server)`` after the cell in which the last variable lets go of the server.

    A variable holds what it is, and what is in its list, tuple, set or dict. What no variable
    has held at a cell's end is left alone, and outside IPython everything is.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        return
    ever = False

    def look(*_: object) -> None:
        nonlocal ever
        it = reference()
        names = [n for n in shell.user_ns if n[0] != "_" and n not in shell.user_ns_hidden]
        held = any(_holds(shell.user_ns[name], it) for name in names)
        if it is None or (ever and not held):
            shell.events.unregister("post_run_cell", look)
            if it is not None:
                stop(it)
        ever = ever or held

    reference = weakref.ref(server)
    shell.events.register("post_run_cell", look)


def _holds(value: object, server: object) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    inside: Iterable = value if isinstance(value, (list, tuple, set, frozenset)) else ()
    return value is server or any(one is server for one in inside)
