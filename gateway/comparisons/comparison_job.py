"""The work behind a comparison: each prompt is answered by both sides, and written as it is done."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.comparisons.prompt_rows import PromptMessages, decode_prompts
from gateway.comparisons.repository import ComparisonItemRepository, ComparisonRepository
from gateway.comparisons.sides import SideAnswer, digest_prompt, is_swapped
from gateway.comparisons.tables import ComparisonRow
from gateway.evals.item_answers import Asker, Complete, ItemFailed
from gateway.ids import new_id
from gateway.jobs import (
    FINAL_STATUSES,
    Claim,
    JobCancelled,
    Outcome,
    begin_subject,
    end_subject,
    failpoint,
    succeed_subject,
)
from gateway.tenants.authenticator import Principal, Scope

__all__ = ["ComparisonHandler"]

_AT_ONCE = 8  # prompts
_SEEDS = 2**31


@dataclass(frozen=True, slots=True)
class _Item:
    """A prompt with its answers, that of side a first, or the failure of one; `size` is in bytes, of all texts."""

    number: int
    messages: PromptMessages
    answers: Sequence[SideAnswer]
    failure: ItemFailed | None

    @property
    def size(self) -> int:
        return len(msgspec.json.encode(self.messages)) + sum(len(answer.text.encode()) for answer in self.answers)


class ComparisonHandler:
    """Handles jobs of the kind `comparison`; their subject is a comparison.

    One that was killed goes on: prompts that have their items aren't asked again.
    """

    def __init__(self, artifacts: Artifacts, complete: Complete) -> None:
        self._artifacts = artifacts
        self._complete = complete

    async def run(self, claim: Claim) -> None:
        async with claim.begin() as session:
            row = begin_subject(claim, await ComparisonRepository(session, claim.tenant).lock(claim.subject))
            if row is None:
                return
            there = await ComparisonItemRepository(session, claim.tenant).list_numbers(row.id)
        data = await asyncio.to_thread(self._artifacts.locate_file(row.prompts_digest).read_bytes)
        prompts = await asyncio.to_thread(decode_prompts, data)
        open_prompts = [(number, prompt) for number, prompt in enumerate(prompts) if number not in there]
        # It asks as a chat key does: it switches no strands and names no stores.
        principal = Principal(claim.tenant, "", row.key, frozenset({Scope.CHAT.value}))
        asker = Asker(self._complete, principal)
        for start in range(0, len(open_prompts), _AT_ONCE):
            await _write(claim, await _answer_all(claim, asker, row, open_prompts[start : start + _AT_ONCE]))
            failpoint("comparison-items-written")
        async with claim.begin() as session:
            succeed_subject(await ComparisonRepository(session, claim.tenant).lock(claim.subject))

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        end_subject(await ComparisonRepository(session, claim.tenant).lock(claim.subject), outcome)


async def _answer_all(
    claim: Claim, asker: Asker, row: ComparisonRow, prompts: Sequence[tuple[int, PromptMessages]]
) -> list[_Item]:
    """Answer some prompts at once; the first fault that concerns them all, or a cancellation, ends it."""
    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_watch(claim))
            tasks = [group.create_task(_answer(asker, row, number, prompt)) for number, prompt in prompts]
            await asyncio.wait(tasks)
            watch.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _watch(claim: Claim) -> None:
    await claim.cancelled.wait()
    raise JobCancelled


async def _answer(asker: Asker, row: ComparisonRow, number: int, messages: PromptMessages) -> _Item:
    bodies = [_make_body(row, number, side, messages) for side in range(2)]
    try:
        # One after the other: a fault of the first spares the second.
        answers = [await asker.ask(body) for body in bodies]
    except ItemFailed as error:
        return _Item(number, messages, (), error)
    for answer, model in zip(answers, row.models, strict=True):
        if not answer.text.strip():
            return _Item(number, messages, (), ItemFailed("empty_answer", f"{model} answered without a text."))
    sides = [SideAnswer(one.id, one.text, one.finish_reason, digest_prompt(one.parameters.messages)) for one in answers]
    return _Item(number, messages, sides, None)


def _make_body(row: ComparisonRow, number: int, side: int, messages: PromptMessages) -> Mapping[str, Any]:
    """Return a side's chat request, with a seed of its own: one model compared with itself answers differently."""
    seed = (row.seed + 2 * number + side) % _SEEDS
    return {"model": row.models[side], "messages": messages, "seed": seed, **row.sampling}


async def _write(claim: Claim, items: Sequence[_Item]) -> None:
    """Write items, with the comparison's tallies in the same unit of work.

    Raises:
        JobCancelled: The comparison has ended, or was deleted.
    """
    now = int(time.time())
    async with claim.begin() as session:
        row = await ComparisonRepository(session, claim.tenant).lock(claim.subject)
        if row is None or row.status in FINAL_STATUSES:
            raise JobCancelled
        await ComparisonItemRepository(session, claim.tenant).add_rows(
            [
                {
                    "id": new_id("compared_"),
                    "created_at": now,
                    "comparison_id": row.id,
                    "number": item.number,
                    "swapped": is_swapped(row.seed, item.number),
                    "messages": item.messages,
                    "answers": msgspec.to_builtins(item.answers),
                    "error": item.failure and item.failure.describe(),
                }
                for item in items
            ]
        )
        row.answered += sum(item.failure is None for item in items)
        row.errored += sum(item.failure is not None for item in items)
        row.bytes += sum(item.size for item in items)
