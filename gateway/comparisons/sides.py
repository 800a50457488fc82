"""The two sides of a comparison: their order before voters, their answers, and the prompts that they answered."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

__all__ = ["Place", "Side", "SideAnswer", "digest_prompt", "is_swapped", "to_place", "to_side"]

Side = Literal["a", "b"]
"""The first and the second model of a comparison."""
Place = Literal["left", "right"]
"""The place of an answer before voters."""


class SideAnswer(msgspec.Struct, frozen=True):
    """A side's answer to one prompt.

    Attributes:
        answer_id: That of the answer's record.
        finish_reason: As the engine told it; one that ended for its length isn't whole.
        prompt: The digest of the messages that the engine got, see `digest_prompt`.
    """

    answer_id: str
    text: str
    finish_reason: str
    prompt: str


def is_swapped(seed: int, number: int) -> bool:
    """Draw whether side b stands left in an item: the same for a seed and a number, and a fair coin over numbers."""
    return bool(hashlib.sha256(f"{seed} {number}".encode()).digest()[0] & 1)


def to_side(place: Place | Literal["tie"], *, swapped: bool) -> Side | Literal["tie"]:
    """Return the side that stands at a place."""
    if place == "tie":
        return place
    return "b" if (place == "left") == swapped else "a"


def to_place(side: str, *, swapped: bool) -> Place | Literal["tie"]:
    """Return the place at which a side stands."""
    if side == "tie":
        return "tie"
    return "right" if (side == "a") == swapped else "left"


def digest_prompt(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of the roles and texts of a prompt, in hex."""
    turns = [[message["role"], message.get("content") or ""] for message in messages]
    return hashlib.sha256(msgspec.json.encode(turns)).hexdigest()
