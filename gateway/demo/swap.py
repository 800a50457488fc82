"""An adapter is swapped under load, and swapped back: no request fails, and none meets a mix."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec

from gateway.client import ClientError
from gateway.demo.assistants import promote, roll_back
from gateway.demo.tenant_clients import TenantClient
from gateway.evaluation import Variant, ask
from gateway.progress import ProgressLine

__all__ = ["SwapOutcome", "swap_under_load"]

_AT_ONCE = 8
_PER_PHASE = 5  # requests before the swap, between swap and return, and after it
_MAX_TOKENS = 12


class SwapOutcome(msgspec.Struct, frozen=True):
    """`fingerprints` counts the answers of each release; `late` are answers of a replaced release.

    Late is an answer whose request was sent after the change to the other release had been confirmed, and before the
    next change.
    """

    requests: int
    failed: list[str]
    fingerprints: dict[str, int]
    foreign: int
    late: int
    seconds_to_swap: float
    seconds_to_return: float

    def list_faults(self) -> list[str]:
        """Return what went otherwise than promised."""
        faults = [f"{len(self.failed)} of {self.requests} requests failed: {self.failed[0]}"] if self.failed else []
        if self.foreign:
            faults.append(f"{self.foreign} answers came from neither of the two releases")
        if self.late:
            faults.append(f"{self.late} answers came from a release that had been replaced before they were asked")
        if len(self.fingerprints) < 2:
            faults.append("only one of the two releases answered")
        return faults

    def describe(self) -> str:
        """Return it as lines for people."""
        shares = ", ".join(f"{count} by {fingerprint}" for fingerprint, count in self.fingerprints.items())
        return (
            f"{self.requests} requests at concurrency {_AT_ONCE}: {len(self.failed)} failed; {shares}\n"
            f"promoted in {self.seconds_to_swap:.1f} s, rolled back in {self.seconds_to_return:.1f} s"
        )


class _Load:
    """Requests that keep coming, eight at once, until `stop` is called."""

    def __init__(self, account: TenantClient, variant: Variant) -> None:
        self._account = account
        self._variant = variant
        self._stopped = False
        self._ends = asyncio.Condition()
        self.live: str | None = None
        """The one fingerprint that a request sent now may get; None while a change is under way."""
        self.changes = 0
        self.count = 0
        self.failed: list[str] = []
        self.fingerprints: Counter[str] = Counter()
        self.late = 0

    def start(self, group: asyncio.TaskGroup) -> None:
        for number in range(_AT_ONCE):
            group.create_task(self._ask(number))

    def stop(self) -> None:
        self._stopped = True

    async def wait_for(self, count: int) -> None:
        """Return when so many requests have ended."""
        async with self._ends:
            await self._ends.wait_for(lambda: self.count >= count)

    async def _ask(self, number: int) -> None:
        questions = self._account.tenant.questions
        while not self._stopped:
            question = questions[number % len(questions)].question
            number += _AT_ONCE
            live, changes = self.live, self.changes
            try:
                answer = await ask(self._account.client, self._variant, question, max_tokens=_MAX_TOKENS)
            except ClientError as error:
                self.failed.append(str(error))
            else:
                self.fingerprints[str(answer.fingerprint)] += 1
                # During the next change a request may be answered by either release, though it was sent before.
                self.late += live not in (None, answer.fingerprint) and changes == self.changes
            async with self._ends:
                self.count += 1
                self._ends.notify_all()


async def swap_under_load(
    account: TenantClient, variant: Variant, live: str, other: tuple[int, str], line: ProgressLine
) -> SwapOutcome:
    """Promote the release `other` (number, fingerprint) while requests run on `live` (fingerprint), and roll back.

    Raises:
        ClientError: A change of the rollout failed. Requests that fail are counted instead.
    """
    number, fingerprint = other
    load = _Load(account, variant)
    load.live = live
    try:
        async with asyncio.TaskGroup() as group:
            load.start(group)
            await load.wait_for(_PER_PHASE)
            line.show(1, 3, "promoting the other release")
            there = await _change(load, lambda: promote(account, number), fingerprint)
            await load.wait_for(load.count + _AT_ONCE + _PER_PHASE)
            line.show(2, 3, "rolling back")
            back = await _change(load, lambda: roll_back(account), live)
            await load.wait_for(load.count + _AT_ONCE + _PER_PHASE)
            load.stop()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    foreign = sum(count for name, count in load.fingerprints.items() if name not in (live, fingerprint))
    return SwapOutcome(
        load.count, load.failed, dict(load.fingerprints), foreign, load.late, round(there, 2), round(back, 2)
    )


async def _change(load: _Load, change: Callable[[], Awaitable[object]], fingerprint: str) -> float:
    load.live = None
    load.changes += 1
    start = asyncio.get_running_loop().time()
    await change()
    load.live = fingerprint
    return asyncio.get_running_loop().time() - start
