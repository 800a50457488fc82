"""Answers that the demo shows as soon as they can be had: one from documents alone, one in each tenant's style."""

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec

from gateway.client import Client, GatewayError
from gateway.demo.assistants import MAX_TOKENS
from gateway.demo.tenant_clients import TenantClient
from gateway.demo.tenants import DemoQuestion
from gateway.evaluation import Variant, ask
from gateway.progress import Progress

__all__ = ["FirstAnswer", "find_record", "show_first_answer"]

_RECORD_ATTEMPTS = 50
_RECORD_PAUSE = 0.1  # seconds; records are written in batches


class FirstAnswer(msgspec.Struct, frozen=True):
    """An answer that is shown as soon as it can be had.

    Attributes:
        sources: The passages that the model was given, best first, as "document: heading".
        cited: Keys of the documents that the answer cites; an untrained small model seldom does.
        seconds: From the demo's beginning.
    """

    tenant: str
    variant: str
    question: str
    answer: str
    sources: list[str]
    cited: list[str]
    seconds: float


async def show_first_answer(
    account: TenantClient, variant: Variant, question: DemoQuestion, progress: Progress
) -> FirstAnswer:
    """Ask a question, and tell the answer with the passages that it was made from."""
    answer = await ask(account.client, variant, question.question, max_tokens=MAX_TOKENS)
    seconds = progress.measure_elapsed()
    record = await find_record(account.client, answer.id)
    passages: list[dict[str, Any]] = record["passages"]
    first = FirstAnswer(
        tenant=account.name,
        variant=variant.name,
        question=question.question,
        answer=answer.text,
        sources=[f"{passage['document_key']}: {passage['heading']}" for passage in passages],
        cited=answer.cited,
        seconds=seconds,
    )
    progress.tell(f"question:  {first.question}")
    progress.tell(f"{variant.label + ':':10} {_indent(first.answer)}")
    for passage, source in zip(passages, first.sources, strict=True):
        mark = "cited " if passage["cited"] else "given "
        progress.tell(f"{mark}[{passage['number']}]  {source}")
    return first


async def find_record(client: Client, answer: str) -> dict[str, Any]:
    """Return an answer's record, which is written a moment after the answer.

    Raises:
        GatewayError: It isn't there after some seconds.
    """
    for _ in range(_RECORD_ATTEMPTS - 1):
        try:
            return await client.get(f"/api/answers/{answer}")
        except GatewayError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
        await asyncio.sleep(_RECORD_PAUSE)
    return await client.get(f"/api/answers/{answer}")


def _indent(text: str) -> str:
    return text.strip().replace("\n", "\n" + " " * 11)
