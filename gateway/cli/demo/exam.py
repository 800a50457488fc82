"""All held-out questions of all tenants in all five ways, scored."""

import asyncio
from statistics import median

import msgspec

from gateway.cli.demo.accounts import Account
from gateway.cli.demo.arms import Answer, Arm, ask
from gateway.cli.demo.estimate import Estimate, mean, share
from gateway.cli.demo.facts import cited_correctly, fact_score
from gateway.cli.demo.narration import ProgressLine
from gateway.cli.demo.tenants import Question

__all__ = ["ArmResult", "Marked", "examine", "shortfalls", "summarise"]

_AT_ONCE = 8
_ALONE = 3  # questions a tenant whose answers are timed with nothing else running
_STYLE_LEAST, _FACTS_LEAST = 0.9, 0.85

_Asked = tuple[Account, Question, Arm]


class Marked(msgspec.Struct, frozen=True):
    """One answer and its scores; `alone` if it was asked while nothing else ran, so that its times mean something."""

    tenant: str
    question: str
    arm: Arm
    answer: Answer
    style: float
    broken_rules: list[str]
    fact: int
    cited: bool
    alone: bool


class ArmResult(msgspec.Struct, frozen=True):
    """One way's figures; `cited` is None where nothing was retrieved, times are medians in seconds."""

    style: Estimate
    facts: Estimate
    cited: Estimate | None
    prompt_tokens: float
    first_token: float
    latency: float
    timed: int


async def examine(accounts: list[Account], base: str, progress: ProgressLine) -> list[Marked]:
    """Ask everything: first some questions one after the other, for the times, then the rest eight at once."""
    alone: list[_Asked] = []
    together: list[_Asked] = []
    for account in accounts:
        for number, question in enumerate(account.tenant.questions):
            asked = [(account, question, arm) for arm in Arm]
            (alone if number < _ALONE else together).extend(asked)
    marked: list[Marked] = []
    everything = len(alone) + len(together)

    async def one(account: Account, question: Question, arm: Arm, *, timed: bool) -> None:
        answer = await ask(account, arm, question.question, base)
        marked.append(_mark(account, question, arm, answer, timed))
        progress.at(len(marked), everything, f"{account.tenant.name}, {arm.label}")

    for asked in alone:
        await one(*asked, timed=True)
    slots = asyncio.Semaphore(_AT_ONCE)

    async def in_turn(account: Account, question: Question, arm: Arm) -> None:
        async with slots:
            await one(account, question, arm, timed=False)

    await asyncio.gather(*(in_turn(*asked) for asked in together))
    return marked


def _mark(account: Account, question: Question, arm: Arm, answer: Answer, alone: bool) -> Marked:
    house = account.tenant.house
    return Marked(
        tenant=account.tenant.name,
        question=question.question,
        arm=arm,
        answer=answer,
        style=house.score(answer.text),
        broken_rules=house.broken(answer.text),
        fact=fact_score(answer.text, question.accepted, question.wrong),
        cited=cited_correctly(answer.cited, question.document),
        alone=alone,
    )


def summarise(marked: list[Marked]) -> dict[str, ArmResult]:
    """Return each way's figures over all of `marked`, by its name."""
    return {arm.value: _result(arm, [one for one in marked if one.arm is arm]) for arm in Arm}


def _result(arm: Arm, marked: list[Marked]) -> ArmResult:
    timed = [one.answer for one in marked if one.alone]
    return ArmResult(
        style=mean([one.style for one in marked]),
        facts=share([one.fact for one in marked]),
        cited=share([one.cited for one in marked]) if arm in (Arm.FACTS, Arm.BOTH) else None,
        prompt_tokens=round(sum(one.answer.prompt_tokens for one in marked) / len(marked), 1),
        first_token=median(answer.first_token for answer in timed),
        latency=median(answer.total for answer in timed),
        timed=len(timed),
    )


def shortfalls(results: dict[str, ArmResult]) -> list[str]:
    """Say where "both" misses what the demo promises; empty when it keeps it all."""
    both, style, facts = results[Arm.BOTH], results[Arm.STYLE], results[Arm.FACTS]
    found: list[str] = []
    if both.style.value < _STYLE_LEAST:
        found.append(f"style is {both.style.value:.2f}, and at least {_STYLE_LEAST} is promised")
    if both.facts.value < _FACTS_LEAST:
        found.append(f"facts are {both.facts.value:.2f}, and at least {_FACTS_LEAST} is promised")
    if both.style.value < style.style.value:
        found.append(f"style is {both.style.value:.2f}, below style only ({style.style.value:.2f})")
    if both.facts.value < facts.facts.value:
        found.append(f"facts are {both.facts.value:.2f}, below facts only ({facts.facts.value:.2f})")
    return found
