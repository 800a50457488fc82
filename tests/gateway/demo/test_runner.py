"""The whole demo in seconds: the real gateway and worker, with a fake engine, trainer and index."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.client import Profile
from gateway.demo import DemoTenant, runner
from gateway.demo.assistants import BASE, BOTH, FACTS, GUIDE, STYLE
from gateway.demo.report import Report
from gateway.demo.runner import locate_page, locate_report, run_demo, run_steps
from gateway.demo.services import Services
from gateway.demo.size import FULL, SMALL, DemoSize
from gateway.progress import Progress
from gateway.settings import Settings
from gateway.terminal import CommandError
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.demo.conftest import Student

QUICK = replace(FULL, training_rows=20, validation_rows=10, questions=4, timed_questions=1, all_documents=False)


async def ready() -> None:
    pass


async def run(
    gateway: Gateway,
    settings: Settings,
    cast: list[DemoTenant],
    size: DemoSize = QUICK,
    *,
    wait_until_ready: Callable[[], Coroutine[Any, Any, None]] = ready,
) -> Report:
    services = Services(Profile(gateway.url, ADMIN_KEY), wait_until_ready)
    return await run_steps(settings, services, Progress(), cast[: size.tenants], size)


async def test_the_demo_runs(
    gateway: Gateway,
    settings: Settings,
    engine: FakeVllm,
    background_worker: None,
    cast: list[DemoTenant],
    tmp_path: Path,
) -> None:
    engine.reply = Student(cast)
    report = await run(gateway, settings, cast)
    assert report.edit.list_faults() == []
    assert report.swap.list_faults() == []
    assert report.swap.requests >= 24
    steps = ["documents", "adapter_kestrel", "adapter_harbor", "questions", "edit", "swap"]
    assert list(report.step_seconds) == steps
    assert report.adapters["kestrel"].digest != report.adapters["harbor"].digest
    assert report.second_adapter.startswith("ft:base:kestrel:softer-")
    assert {name: result.style.n for name, result in report.results.items()} == dict.fromkeys(
        (BASE, GUIDE, STYLE, FACTS, BOTH), 8
    )
    assert report.by_tenant["kestrel"][STYLE].style.value > report.by_tenant["kestrel"][BASE].style.value
    assert report.results[BASE].cited is None
    assert {name: result.style.n for name, result in report.unanswered.items()} == dict.fromkeys((FACTS, BOTH), 8)
    assert report.unanswered[BOTH].facts.value == 0.5  # the student says it as Kestrel does, and not as Harbor
    assert report.unanswered[BOTH].cited == report.unanswered[FACTS].cited
    report.save(tmp_path / "report.json")
    saved = msgspec.json.decode((tmp_path / "report.json").read_bytes())
    assert saved["faults"] == report.list_faults()
    assert saved["environment"]["versions"]["braid"]


async def test_an_engine_that_does_not_start_ends_the_uploads(
    gateway: Gateway, settings: Settings, cast: list[DemoTenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill(*arguments: object) -> None:
        await asyncio.Event().wait()

    async def wait() -> None:
        raise CommandError("The engine has ended.")

    monkeypatch.setattr(runner, "fill_store", fill)
    with pytest.raises(CommandError, match="has ended"):
        async with asyncio.timeout(60):
            await run(gateway, settings, cast, wait_until_ready=wait)


async def test_an_upload_that_fails_ends_the_wait_for_the_engine(
    gateway: Gateway, settings: Settings, cast: list[DemoTenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    async def fill(*arguments: object) -> None:
        await asyncio.sleep(0)
        raise CommandError("A document can't be read.")

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)  # longer than the end of the clients takes
            steps.append("waited")

    monkeypatch.setattr(runner, "fill_store", fill)
    with pytest.raises(CommandError, match="can't be read"):
        await run(gateway, settings, cast, wait_until_ready=wait)
    assert steps == ["waited"]


@pytest.fixture
def _running(gateway: Gateway, cast: list[DemoTenant], monkeypatch: pytest.MonkeyPatch) -> None:
    """This test's gateway in the place of one that `braid up` would start in minutes."""

    @asynccontextmanager
    async def services(*arguments: object, keep: bool) -> AsyncGenerator[Services]:
        yield Services(Profile(gateway.url, ADMIN_KEY), ready)

    monkeypatch.setattr(runner, "running_services", services)
    monkeypatch.setattr(runner, "make_tenants", lambda: tuple(cast))


@pytest.mark.usefixtures("_running")
async def test_the_small_demo_has_one_tenant_and_the_same_steps(
    settings: Settings,
    engine: FakeVllm,
    background_worker: None,
    cast: list[DemoTenant],
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine.reply = Student(cast)
    report = await run_demo(settings, SMALL, keep=True)
    assert msgspec.json.decode(locate_report(settings.home).read_bytes())["passed"]
    assert report.adapters["kestrel"].digest in locate_page(settings.home).read_text()
    assert "Stop it with: kill" in capsys.readouterr().err
    assert list(report.by_tenant) == ["kestrel"]
    assert list(report.step_seconds) == ["start", "documents", "adapter_kestrel", "questions", "edit", "swap"]
    assert report.list_faults() == []
    _check_first_answers(report, cast[0])
    losses = report.adapters["kestrel"]
    assert [point.step for point in losses.training_losses] == list(range(1, len(losses.training_losses) + 1))
    assert losses.training_losses[3].loss == 0.5
    assert [point.loss for point in losses.validation_losses] == [1.5]


def _check_first_answers(report: Report, tenant: DemoTenant) -> None:
    """A cited answer comes before any training, and one in the tenant's style right after it."""
    facts, styled = report.first_answers
    question = tenant.questions[0]
    assert (facts.tenant, facts.variant) == ("kestrel", FACTS)
    assert question.accepted[0] in facts.answer
    assert facts.cited == [question.document]
    assert any(source.startswith(question.document) for source in facts.sources)
    assert (styled.tenant, styled.variant) == ("kestrel", BOTH)
    assert styled.answer.startswith("Kettle's on!")
    assert facts.seconds < styled.seconds


@pytest.mark.e2e
async def test_the_demo_runs_again_where_it_ran_before(
    gateway: Gateway, settings: Settings, engine: FakeVllm, background_worker: None, cast: list[DemoTenant]
) -> None:
    engine.reply = Student(cast)
    first, second = await run(gateway, settings, cast), await run(gateway, settings, cast)
    assert second.adapters["kestrel"].digest == first.adapters["kestrel"].digest
    assert second.second_adapter == first.second_adapter
    assert second.edit.list_faults() == second.swap.list_faults() == []
