"""What the running parts are: recorded in every release, so that its fingerprint says what answered."""

import msgspec

from gateway.state import State

__all__ = ["Serving", "serving"]


class Serving(msgspec.Struct, frozen=True):
    """The base model's public name and digest, and the embedder's identity ("" where the part isn't known yet)."""

    base_model: str
    base_digest: str
    embedder: str


async def serving(state: State) -> Serving:
    """Ask the parts; the engine must have answered once, so that the base model's name is known."""
    return Serving(state.base_model, state.base.digest if state.base else "", await state.embedder())
