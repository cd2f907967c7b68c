"""What pip would install, as far as it is installed here."""

from importlib.metadata import distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(requirements):
    """The names of the distributions that pip would install for these, as they are here."""
    found, waiting = set(), [Requirement(text) for text in requirements]
    while waiting:
        one = waiting.pop()
        for extra in one.extras or {""}:
            if (canonicalize_name(one.name), extra) in found:
                continue
            found.add((canonicalize_name(one.name), extra))
            for other in map(Requirement, distribution(one.name).requires or []):
                if other.marker is None or other.marker.evaluate({"extra": extra}):
                    waiting.append(other)
    return {name for name, _ in found}
