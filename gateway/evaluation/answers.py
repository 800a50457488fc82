"""Variants, the ways of asking whose answers are compared, and one answer with its citations and cost."""

import time
from typing import Any

import msgspec

from gateway.client import Client

__all__ = ["Answer", "Variant", "ask"]


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

    def make_request(self, question: str) -> dict[str, Any]:
        """Return the body of a chat request that asks in this way."""
        messages = [{"role": "system", "content": self.instructions}] if self.instructions else []
        messages.append({"role": "user", "content": question})
        body: dict[str, Any] = {"model": self.model, "messages": messages}
        return {**body, "braid": self.switches} if self.switches else body


class Answer(msgspec.Struct, frozen=True):
    """An answer of the gateway, as it is scored.

    Attributes:
        id: Under which the gateway keeps its record.
        cited: Keys of the documents whose passages it cites.
        fingerprint: Of the release that gave it; None where no release did.
        first_token: Seconds until its first text.
        total: Seconds until its end.
    """

    id: str
    text: str
    cited: list[str]
    fingerprint: str | None
    prompt_tokens: int
    answer_tokens: int
    first_token: float
    total: float


async def ask(client: Client, variant: Variant, question: str, *, max_tokens: int) -> Answer:
    """Ask a question at temperature 0, streamed.

    Raises:
        ClientError: The gateway can't be reached, refuses, or breaks off.
    """
    body = {
        **variant.make_request(question),
        "temperature": 0,
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    id = ""
    pieces: list[str] = []
    keys: list[str] = []
    usage: dict[str, int] = {}
    fingerprint: str | None = None
    start = time.perf_counter()
    first = 0.0
    async with client.stream("/v1/chat/completions", body) as events:
        async for event in events:
            id = event["id"]
            fingerprint = event.get("system_fingerprint") or fingerprint
            usage = event.get("usage") or usage
            braid: dict[str, Any] = event.get("braid") or {}
            keys += [source["document_key"] for source in braid.get("citations", [])]
            for choice in event["choices"]:
                if text := choice["delta"].get("content"):
                    first = first or time.perf_counter() - start
                    pieces.append(text)
    total = time.perf_counter() - start
    return Answer(
        id=id,
        text="".join(pieces),
        cited=keys,
        fingerprint=fingerprint,
        prompt_tokens=usage["prompt_tokens"],
        answer_tokens=usage["completion_tokens"],
        first_token=first or total,
        total=total,
    )
