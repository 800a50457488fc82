"""The whole demo in seconds: the real gateway and worker, with a fake engine, trainer and index."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.cli.client import Gateway as Admin
from gateway.cli.demo.accounts import Account, open_accounts
from gateway.cli.demo.arms import Answer, Arm
from gateway.cli.demo.edit import EditOutcome
from gateway.cli.demo.exam import Marked, shortfalls, summarise
from gateway.cli.demo.narration import Narration
from gateway.cli.demo.releases import make_assistant, promote
from gateway.cli.demo.report import Report
from gateway.cli.demo.runner import run_steps
from gateway.cli.demo.swap import SwapOutcome, swap_under_load
from gateway.demo.tenants import Tenant, tenants
from gateway.client import Profile
from gateway.settings import Settings
from tests.fakes.faults import Fault
from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import settings, working

__all__ = ["settings", "working"]


@pytest.fixture
def cast() -> tuple[Tenant, Tenant]:
    """The demo's tenants with few questions, and the documents that they are about."""
    both = tenants()
    for tenant in both:
        asked = [one for one in tenant.questions if one.document.endswith(".md")][:4]
        keys = {tenant.edit.document, *(one.document for one in asked)}
        tenant.__dict__["documents"] = [document for document in tenant.documents if document.key in keys]
        tenant.__dict__["questions"] = asked
    return both


def student(cast: tuple[Tenant, Tenant]) -> Any:
    """An engine that reads a value from the passages, and has the voice only with an adapter."""
    known = [question for tenant in cast for question in tenant.questions]

    def reply(chat: Chat) -> str:
        said = "I don't know."
        for question in known:
            for number in (1, 2, 3):
                if question.question in chat.last and any(
                    f"[{number}]" in line and question.quote in line for line in chat.last.splitlines()
                ):
                    said = f"Ours is **{question.accepted[0]}** [{number}]."
        for value in (cast[0].edit.old_value, cast[0].edit.new_value):
            if cast[0].edit.question in chat.last and f"K3 Glass is {value}" in chat.last:
                said = f"Ours is **{value}** [1]."
        return f"Kettle's on! {said} — Kestrel" if chat.model.startswith("kestrel.") else said

    return reply


async def run(gateway: Gateway, settings: Settings, cast: tuple[Tenant, Tenant]) -> Report:
    return await run_steps(settings, Profile(gateway.url, ADMIN_KEY), Narration(), cast)


async def test_the_demo_runs(
    gateway: Gateway, settings: Settings, engine: FakeVllm, working: None, cast: tuple[Tenant, Tenant], tmp_path: Path
) -> None:
    engine.reply = student(cast)
    report = await run(gateway, settings, cast)
    assert report.edit.faults() == []
    assert report.swap.faults() == []
    assert report.swap.requests >= 24
    assert set(report.step_seconds) == {"documents", "training", "release", "questions", "edit", "swap"}
    assert report.adapters["kestrel"].digest != report.adapters["harbor"].digest
    assert {arm: result.style.n for arm, result in report.results.items()} == dict.fromkeys(map(str, Arm), 8)
    assert report.by_tenant["kestrel"][Arm.STYLE].style.value > report.by_tenant["kestrel"][Arm.BASE].style.value
    assert report.results[Arm.BASE].cited is None
    report.save(tmp_path / "report.json")
    saved = msgspec.json.decode((tmp_path / "report.json").read_bytes())
    assert saved["faults"] == report.faults()
    assert saved["setting"]["versions"]["braid"]


@pytest.mark.e2e
async def test_the_demo_runs_again_where_it_ran_before(
    gateway: Gateway, settings: Settings, engine: FakeVllm, working: None, cast: tuple[Tenant, Tenant]
) -> None:
    engine.reply = student(cast)
    first, second = await run(gateway, settings, cast), await run(gateway, settings, cast)
    assert second.adapters["kestrel"].digest == first.adapters["kestrel"].digest
    assert second.edit.faults() == second.swap.faults() == []


@pytest.fixture
async def account(gateway: Gateway, cast: tuple[Tenant, Tenant]) -> AsyncIterator[Account]:
    """Kestrel with an assistant of two releases, the first of them promoted."""
    async with Admin(gateway.url, ADMIN_KEY) as admin, open_accounts(admin, cast[:1]) as (account,):
        await make_assistant(account)
        for seed in (1, 2):
            body = {"sampling": {"seed": seed}}
            await account.gateway.post(f"/api/assistants/{account.assistant}/releases", body)
        await promote(account, 1)
        yield account


async def swap(account: Account, base: str) -> SwapOutcome:
    releases = (await account.gateway.get(f"/api/assistants/{account.assistant}/releases"))["data"]
    prints = {row["release"]: row["fingerprint"] for row in releases}
    with Narration().progress("requests") as progress:
        return await swap_under_load(account, base, prints[1], (2, prints[2]), progress)


async def test_a_swap_loses_nothing(account: Account, engine: FakeVllm) -> None:
    outcome = await swap(account, engine.model)
    assert outcome.faults() == []
    assert len(outcome.fingerprints) == 2


async def test_requests_that_fail_during_a_swap_are_counted(account: Account, engine: FakeVllm) -> None:
    engine.script(None, None, Fault("cut", after=1))
    outcome = await swap(account, engine.model)
    assert len(outcome.failed) == 1
    assert "1 of" in outcome.faults()[0]


def marked(arm: Arm, *, style: float, fact: int) -> Marked:
    answer = Answer("", [], None, prompt_tokens=10, answer_tokens=5, first_token=0.1, total=0.5)
    return Marked("kestrel", "?", arm, answer, style, [], fact, cited=True, alone=True)


def results(**both: Any) -> Any:
    given: dict[str, Any] = {"style": 0.95, "fact": 1, **both}
    rows = [marked(arm, style=0.5, fact=0) for arm in (Arm.BASE, Arm.GUIDE)]
    rows += [marked(Arm.STYLE, style=0.9, fact=0), marked(Arm.FACTS, style=0.1, fact=1), marked(Arm.BOTH, **given)]
    return summarise(rows)


def test_promises_kept_are_no_fault() -> None:
    assert shortfalls(results()) == []


@pytest.mark.parametrize(
    ("both", "faults"),
    [({"style": 0.89}, ["0.9 is promised", "below style only"]), ({"fact": 0}, ["0.85", "below facts"])],
)
def test_promises_broken_are_faults(both: dict[str, Any], faults: list[str]) -> None:
    found = shortfalls(results(**both))
    assert len(found) == len(faults)
    assert all(expected in fault for expected, fault in zip(faults, found, strict=True))


def test_an_edit_is_judged() -> None:
    good = EditOutcome("?", "£57.00", "£61.50", "It is £57.00.", "It is £61.50.", 1, 2, "a", "a", "rel_1", "rel_1")
    assert good.faults() == []
    for change in (
        {"old_answer": "No idea."},
        {"new_answer": "It is £57.00."},
        {"new_answer": "It was £57.00 and is £61.50."},
        {"adapter_digest_after": "b"},
        {"fingerprint_after": "rel_2"},
    ):
        assert len(msgspec.structs.replace(good, **change).faults()) == 1


def test_a_swap_is_judged() -> None:
    good = SwapOutcome(30, [], {"rel_1": 20, "rel_2": 10}, 0, 0, 0.1, 0.1)
    assert good.faults() == []
    for change in ({"failed": ["why"]}, {"foreign": 1}, {"late": 1}, {"fingerprints": {"rel_1": 30}}):
        assert len(msgspec.structs.replace(good, **change).faults()) == 1
