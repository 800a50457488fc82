"""One answer of a running gateway, with its citations and what it cost."""

import time
from typing import Any

import msgspec

from gateway.client import Client
from gateway.evaluation.variants import Variant

__all__ = ["Answer", "ask"]


class Answer(msgspec.Struct, frozen=True):
    """An answer.

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
        **variant.request(question),
        "temperature": 0,
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    id = ""
    pieces: list[str] = []
    cited: list[str] = []
    usage: dict[str, int] = {}
    fingerprint: str | None = None
    started = time.perf_counter()
    first = 0.0
    async with client.stream("/v1/chat/completions", body) as events:
        async for event in events:
            id = event["id"]
            fingerprint = event.get("system_fingerprint") or fingerprint
            usage = event.get("usage") or usage
            braid: dict[str, Any] = event.get("braid") or {}
            cited += [source["document_key"] for source in braid.get("citations", [])]
            for choice in event["choices"]:
                if text := choice["delta"].get("content"):
                    first = first or time.perf_counter() - started
                    pieces.append(text)
    total = time.perf_counter() - started
    return Answer(
        id=id,
        text="".join(pieces),
        cited=cited,
        fingerprint=fingerprint,
        prompt_tokens=usage["prompt_tokens"],
        answer_tokens=usage["completion_tokens"],
        first_token=first or total,
        total=total,
    )
