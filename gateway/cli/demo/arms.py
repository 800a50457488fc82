"""The five ways in which every question is asked, and one answer with what it cost."""

import time
from enum import StrEnum
from typing import Any

import msgspec

from gateway.cli.demo.accounts import Account
from gateway.cli.demo.releases import MAX_TOKENS

__all__ = ["Answer", "Arm", "ask"]


class Arm(StrEnum):
    """A way of asking; its value is its key in the report."""

    BASE = "base"
    GUIDE = "guide"
    STYLE = "style"
    FACTS = "facts"
    BOTH = "both"

    @property
    def label(self) -> str:
        return _TITLES[self]


_TITLES = {
    Arm.BASE: "base",
    Arm.GUIDE: "base + style guide",
    Arm.STYLE: "style only",
    Arm.FACTS: "facts only",
    Arm.BOTH: "both",
}


class Answer(msgspec.Struct, frozen=True):
    """An answer; `cited` are the keys of the documents whose passages it cites, times are in seconds."""

    text: str
    cited: list[str]
    fingerprint: str | None
    prompt_tokens: int
    answer_tokens: int
    first_token: float
    total: float


async def ask(account: Account, arm: Arm, question: str, base: str, *, max_tokens: int = MAX_TOKENS) -> Answer:
    """Ask a question in one of the five ways, at temperature 0."""
    body = {
        **_body(account, arm, question, base),
        "temperature": 0,
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    pieces: list[str] = []
    cited: list[str] = []
    usage: dict[str, int] = {}
    fingerprint: str | None = None
    started = time.perf_counter()
    first = 0.0
    async with account.gateway.stream("/v1/chat/completions", body) as events:
        async for event in events:
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
        text="".join(pieces),
        cited=cited,
        fingerprint=fingerprint,
        prompt_tokens=usage["prompt_tokens"],
        answer_tokens=usage["completion_tokens"],
        first_token=first or total,
        total=total,
    )


def _body(account: Account, arm: Arm, question: str, base: str) -> dict[str, Any]:
    asked = {"role": "user", "content": question}
    guide = {"role": "system", "content": account.tenant.style_guide}
    match arm:
        case Arm.BASE:
            return {"model": base, "messages": [asked]}
        case Arm.GUIDE:
            return {"model": base, "messages": [guide, asked]}
        case Arm.STYLE:
            return {"model": account.assistant, "messages": [asked], "braid": {"retrieval": False}}
        case Arm.FACTS:
            return {"model": account.assistant, "messages": [asked], "braid": {"adapter": False}}
        case Arm.BOTH:
            return {"model": account.assistant, "messages": [asked]}
