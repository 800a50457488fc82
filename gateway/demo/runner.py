"""The demo, step by step: a first answer, an adapter per tenant, five variants compared, an edit, a swap."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.client import Client
from gateway.demo.adapters import import_at_strength, wait_until_loaded
from gateway.demo.assistants import BOTH, FACTS, MAX_TOKENS, DemoAssistant, make_assistant, promote
from gateway.demo.documents import fill_store
from gateway.demo.edit import edit_fact
from gateway.demo.environment import describe_environment
from gateway.demo.first_answers import FirstAnswer, show_first_answer
from gateway.demo.forecast import Forecast, measure_gigaflops
from gateway.demo.next_steps import tell_next_steps
from gateway.demo.page import save_page
from gateway.demo.report import METHOD, Report, make_table
from gateway.demo.services import Services, running_services
from gateway.demo.size import DemoSize
from gateway.demo.swap import swap_under_load
from gateway.demo.tenant_clients import TenantClient, open_tenant_clients
from gateway.demo.tenants import DemoTenant, make_tenants
from gateway.demo.training import TrainedAdapter, train
from gateway.evaluation import EvaluationCase, ScoredAnswer, Variant, VariantResult, evaluate, summarise
from gateway.progress import Progress
from gateway.settings import Settings
from gateway.stack.instance import Instance

__all__ = ["locate_page", "locate_report", "run_demo", "run_steps"]

_QUESTIONS_AT_ONCE = 16  # the engine reads its weights once for all of them; beyond that it computes
_STRENGTH = 0.875  # of the adapter that is swapped in, whose weights are the first one's: 28 / 32


def locate_report(home: Path) -> Path:
    return home / "report.json"


def locate_page(home: Path) -> Path:
    return home / "report.html"


async def run_demo(settings: Settings, size: DemoSize, *, keep: bool) -> Report:
    """Run all steps with `settings.home` as the demo's own home.

    Returns:
        The report, which is saved there too, as JSON and as a page. Services stay if `keep`, and commands to try are
        printed.
    """
    cast = make_tenants()[: size.tenants]
    forecast = Forecast(size, cast, await asyncio.to_thread(measure_gigaflops))
    progress = Progress(forecast.estimate_rest)
    progress.tell(forecast.describe())
    async with AsyncExitStack() as stack:
        with progress.step("start", "Start: base model, gateway, worker, retriever, engine"):
            services = await stack.enter_async_context(running_services(settings, progress, keep=keep))
        report = await run_steps(settings, services, progress, cast, size)
        report.save(locate_report(settings.home))
        save_page(report, locate_page(settings.home))
        if keep:
            await tell_next_steps(services.profile, Instance.locate_file(settings.home), cast[0], progress)
    return report


async def run_steps(
    settings: Settings, services: Services, progress: Progress, cast: Sequence[DemoTenant], size: DemoSize
) -> Report:
    """Run the steps behind the start; the first tenant's fact is edited and its adapter swapped."""
    async with AsyncExitStack() as stack:
        with progress.step("documents", "Documents, while the engine starts, and a first answer from them"):
            admin = await stack.enter_async_context(Client(services.profile.url, services.profile.key or ""))
            base = await _read_base(admin)
            accounts = await stack.enter_async_context(open_tenant_clients(admin, cast))
            assistants = await _prepare_all(services, accounts, base, size, progress)
            first = assistants[0]
            first_answers = [await _answer_from_documents(first, progress)]
        adapters: dict[str, TrainedAdapter] = {}
        fingerprints: dict[str, str] = {}
        for assistant in assistants:
            name = assistant.name
            with progress.step(f"adapter_{name}", f"{name}: a style adapter, trained, proven and promoted"):
                adapters[name] = await _train(assistant, base, size, progress)
                fingerprints[name] = await _promote(assistant, adapters[name], progress)
                first_answers.append(await _show(assistant, BOTH, progress))
        with progress.step("questions", "Held-out questions, asked in five variants"):
            answers = await _ask_questions(assistants, size, progress)
            results, by_tenant = _summarise(answers, assistants)
            unanswered_answers = await _ask_unanswered(assistants, size)
            unanswered = summarise(unanswered_answers, _list_searching(assistants[0]))
            _tell_results(results, by_tenant, unanswered, progress)
        with progress.step("edit", "One fact is edited in a document"):
            edit = await edit_fact(first.account, first.store, first.variants[BOTH], adapters[first.name].model)
            progress.tell(edit.describe())
        with progress.step("swap", "A second adapter is imported, swapped in under load, and out again"):
            digest = adapters[first.name].digest
            folder = settings.artifacts / "adapters" / digest
            second = await import_at_strength(first.account, folder, f"softer-{digest[:8]}", _STRENGTH)
            progress.tell(f"{first.name}: {second} is imported, proven and ready")
            other = await first.create_release(second)
            with progress.line("requests") as line:
                swap = await swap_under_load(first.account, first.variants[BOTH], fingerprints[first.name], other, line)
            progress.tell(swap.describe())
    return Report(
        size=size.name,
        environment=describe_environment(settings.model_python),
        base_model=base,
        step_seconds=progress.seconds,
        first_answers=first_answers,
        adapters=adapters,
        second_adapter=second,
        results=results,
        by_tenant=by_tenant,
        edit=edit,
        swap=swap,
        answers=answers,
        unanswered=unanswered,
        unanswered_answers=unanswered_answers,
    )


async def _read_base(client: Client) -> str:
    return (await client.get("/v1/models"))["data"][0]["id"]  # the first one is everybody's


async def _prepare_all(
    services: Services, accounts: Sequence[TenantClient], base: str, size: DemoSize, progress: Progress
) -> list[DemoAssistant]:
    """Fill the tenants' stores while the services start; whichever of the two fails ends the other."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(services.wait_until_ready())
            return [await _prepare(account, base, size, progress) for account in accounts]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _prepare(account: TenantClient, base: str, size: DemoSize, progress: Progress) -> DemoAssistant:
    documents = size.pick_documents(account.tenant)
    with progress.line(f"{account.name}: documents") as line:
        store = await fill_store(account, documents, line)
    assistant = await make_assistant(account, store, base)
    progress.tell(
        f"{account.name}: {len(documents)} documents answer from {store}; prompt {assistant.prompt}; "
        f"{account.assistant}"
    )
    return assistant


async def _answer_from_documents(assistant: DemoAssistant, progress: Progress) -> FirstAnswer:
    """Make a release of the documents without an adapter, and show what they alone make of the base model."""
    number, _ = await assistant.create_release(None)
    await promote(assistant.account, number)
    return await _show(assistant, FACTS, progress)


async def _show(assistant: DemoAssistant, variant: str, progress: Progress) -> FirstAnswer:
    question = assistant.account.tenant.questions[0]
    return await show_first_answer(assistant.account, assistant.variants[variant], question, progress)


async def _train(assistant: DemoAssistant, base: str, size: DemoSize, progress: Progress) -> TrainedAdapter:
    last = size.training_rows + size.validation_rows
    adapter = await train(
        assistant.account,
        progress,
        prompt=assistant.prompt,
        base=base,
        suffix="voice",
        rows=(0, size.training_rows),
        validation=(size.training_rows, last),
        epochs=size.epochs,
        batch_size=size.batch_size,
    )
    progress.tell(f"{assistant.name}: {adapter.model}, {adapter.trained_tokens} tokens trained")
    return adapter


async def _promote(assistant: DemoAssistant, adapter: TrainedAdapter, progress: Progress) -> str:
    """Make the release that braids all three strands, and give it all traffic; return its fingerprint."""
    name = assistant.name
    model = await wait_until_loaded(assistant.account.client, adapter.model)
    loaded = f"{model['loaded']['replicas']} of {model['loaded']['of']}"
    progress.tell(f"{name}: verdict passed: sha256 {adapter.digest[:16]}…, rank {adapter.rank}")
    progress.tell(f"{name}: hot-loaded and probed, status {model['status']}, loaded by {loaded} engines")
    number, fingerprint = await assistant.create_release(adapter.model)
    rollout = await promote(assistant.account, number)
    progress.tell(
        f"{name}: release {assistant.account.assistant}@{number}, fingerprint {fingerprint}, promoted to all traffic "
        f"(rollout revision {rollout['revision']})"
    )
    return fingerprint


async def _ask_questions(assistants: Sequence[DemoAssistant], size: DemoSize, progress: Progress) -> list[ScoredAnswer]:
    cases = [
        EvaluationCase(
            group=assistant.name,
            client=assistant.account.client,
            variant=assistant.variants[name],
            question=question,
            style=assistant.account.tenant.style,
            timed=number < size.timed_questions,
        )
        # Variant by variant: what is asked at the same time is of few adapters then, and begins with the same words.
        for name in assistants[0].variants
        for assistant in assistants
        for number, question in enumerate(size.pick_questions(assistant.account.tenant))
    ]
    with progress.line("asking") as line:
        return await evaluate(
            cases,
            max_tokens=MAX_TOKENS,
            concurrency=_QUESTIONS_AT_ONCE,
            on_answer=lambda count, case: line.show(count, len(cases), f"{case.group}, {case.variant.label}"),
        )


async def _ask_unanswered(assistants: Sequence[DemoAssistant], size: DemoSize) -> list[ScoredAnswer]:
    """Ask what the documents don't answer, in the variants that search them."""
    cases = [
        EvaluationCase(assistant.name, assistant.account.client, variant, question, assistant.account.tenant.style)
        for assistant in assistants
        for question in size.pick_unanswered(assistant.account.tenant)
        for variant in _list_searching(assistant)
    ]
    return await evaluate(cases, max_tokens=MAX_TOKENS)


def _list_searching(assistant: DemoAssistant) -> list[Variant]:
    return [variant for variant in assistant.variants.values() if variant.retrieves]


def _summarise(
    answers: Sequence[ScoredAnswer], assistants: Sequence[DemoAssistant]
) -> tuple[dict[str, VariantResult], dict[str, dict[str, VariantResult]]]:
    """Return the figures over all tenants, and those of each tenant."""
    variants = list(assistants[0].variants.values())
    by_tenant = {
        assistant.name: summarise([answer for answer in answers if answer.group == assistant.name], variants)
        for assistant in assistants
    }
    return summarise(answers, variants), by_tenant


def _tell_results(
    results: dict[str, VariantResult],
    by_tenant: dict[str, dict[str, VariantResult]],
    unanswered: dict[str, VariantResult],
    progress: Progress,
) -> None:
    several = len(by_tenant) > 1
    if several:
        progress.print(make_table(results, "\nall tenants", unanswered))
    for name, tenant_results in sorted(by_tenant.items()):
        progress.print(make_table(tenant_results, f"\n{name}", {} if several else unanswered))
    progress.tell("\n" + METHOD)
