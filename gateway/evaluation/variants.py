"""Variants: ways of asking the same question, whose answers are compared."""

from typing import Any

import msgspec

__all__ = ["Variant"]


class Variant(msgspec.Struct, frozen=True):
    """One way of asking.

    Attributes:
        name: Its key in reports; variants with the same name are the same way, of different tenants.
        label: Its name for people.
        model: An assistant, a release, an adapter or the base model.
        instructions: A system message in front of the question; none if empty.
        switches: What `braid` in the request switches off, such as `{"retrieval": False}`.
        retrieves: Whether passages are retrieved, so that an answer can cite them.
    """

    name: str
    label: str
    model: str
    instructions: str = ""
    switches: dict[str, bool] = {}
    retrieves: bool = False

    def request(self, question: str) -> dict[str, Any]:
        """Return the body of a chat request that asks in this way."""
        messages = [{"role": "system", "content": self.instructions}] if self.instructions else []
        messages.append({"role": "user", "content": question})
        body: dict[str, Any] = {"model": self.model, "messages": messages}
        return {**body, "braid": self.switches} if self.switches else body
