"""An even sample of what is more than can be asked, so that no part of a file stands for the whole."""

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["thin_out"]

_Item = TypeVar("_Item")


def thin_out(items: Sequence[_Item], most: int) -> list[_Item]:
    """Return the items; of more than `most`, evenly spaced ones, the first of them among these."""
    if len(items) <= most:
        return list(items)
    return [items[at * len(items) // most] for at in range(most)]
