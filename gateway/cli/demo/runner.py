"""The demo, step by step: documents in, adapters trained, five ways compared, a fact edited, an adapter swapped."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.client import Gateway
from gateway.cli.demo.accounts import Account, open_accounts
from gateway.cli.demo.edit import EditOutcome, edit_fact
from gateway.cli.demo.exam import Marked, examine, summarise
from gateway.cli.demo.handover import handover
from gateway.cli.demo.lessons import Adapter, find_adapter, train
from gateway.cli.demo.narration import Narration
from gateway.cli.demo.releases import make_assistant, make_prompt, make_release, promote
from gateway.cli.demo.report import HOW_MEASURED, Report, show_table
from gateway.cli.demo.services import running_services
from gateway.cli.demo.setting import describe_setting
from gateway.cli.demo.shelves import fill_store
from gateway.cli.demo.swap import SwapOutcome, swap_under_load
from gateway.cli.demo.tenants import Tenant, tenants
from gateway.cli.profile import Profile
from gateway.cli.stack.instance import Instance
from gateway.engines.served_base_model import ServedBaseModel
from gateway.settings import Settings

__all__ = ["report_file", "run_demo", "run_steps"]

_TRAINING_ROWS = (0, 96)
_VALIDATION_ROWS = (96, 120)
_SHORT_ROWS = (0, 16)  # enough for an adapter that differs; it only has to be swapped in


@dataclass
class _Course:
    """One tenant on its way through the demo."""

    account: Account
    prompt: str
    store: str

    @property
    def name(self) -> str:
        return self.account.tenant.name


def report_file(home: Path) -> Path:
    return home / "report.json"


async def run_demo(settings: Settings, *, keep: bool) -> Report:
    """Run all steps with `settings.home` as the demo's own home.

    Returns:
        The report, which is saved there too. Services stay if `keep`, and what to paste is printed.
    """
    narration = Narration()
    async with AsyncExitStack() as stack:
        with narration.step("start", "Start: base model, engine, retriever, worker, gateway"):
            profile = await stack.enter_async_context(running_services(settings, narration, keep=keep))
        report = await run_steps(settings, profile, narration, tenants())
        report.save(report_file(settings.home))
        if keep:
            await _hand_over(settings, profile, narration)
    return report


async def run_steps(settings: Settings, profile: Profile, narration: Narration, cast: tuple[Tenant, Tenant]) -> Report:
    """Run the steps on a Braid that runs already; the first tenant's fact is edited and its adapter swapped."""
    base = ServedBaseModel.load(settings).name
    async with AsyncExitStack() as stack:
        with narration.step("documents", "Two tenants, their keys and their documents"):
            admin = await stack.enter_async_context(Gateway(profile.url, profile.key or ""))
            accounts = await stack.enter_async_context(open_accounts(admin, cast))
            courses = [await _begin(account, narration) for account in accounts]
        first, *_ = courses
        with narration.step("training", "A style adapter for each, trained on 96 conversations"):
            adapters = {course.name: await _train(course, base, narration) for course in courses}
            short = await train(
                first.account, narration, prompt=first.prompt, base=base, suffix="short", rows=_SHORT_ROWS, epochs=1
            )
        with narration.step("release", "Verdict, hot load, probe, release, promotion"):
            live = {course.name: await _release(course, adapters[course.name], narration) for course in courses}
        with narration.step("questions", "Held-out questions, asked in five ways"):
            with narration.progress("asking") as progress:
                answers = await examine(accounts, base, progress)
            _show_results(answers, narration)
        with narration.step("edit", "One fact is edited in a document"):
            edit = await edit_fact(first.account, first.store, base, adapters[first.name].model)
            _show_edit(edit, narration)
        with narration.step("swap", "The adapter is swapped under load, and back"):
            other = await _make_release(first, short)
            with narration.progress("requests") as progress:
                swap = await swap_under_load(first.account, base, live[first.name], other, progress)
            _show_swap(swap, narration)
    return Report(
        setting=describe_setting(settings.model_python),
        base_model=base,
        step_seconds=narration.times,
        adapters={**adapters, "short": short},
        results=summarise(answers),
        by_tenant={name: summarise([one for one in answers if one.tenant == name]) for name in adapters},
        edit=edit,
        swap=swap,
        answers=answers,
    )


async def _hand_over(settings: Settings, profile: Profile, narration: Narration) -> None:
    async with Gateway(profile.url, profile.key or "") as admin, open_accounts(admin, tenants()[:1]) as (account,):
        question, pid_file = account.tenant.questions[0].question, Instance.file(settings.home)
        narration.tell("\n" + handover(profile.url, account.gateway.key, account.assistant, question, pid_file))


async def _begin(account: Account, narration: Narration) -> _Course:
    name, documents = account.tenant.name, account.tenant.documents
    with narration.progress(f"{name}: documents") as progress:
        store = await fill_store(account, progress)
    prompt = await make_prompt(account)
    await make_assistant(account)
    narration.tell(f"{name}: {len(documents)} documents answer from {store}; prompt {prompt}; {account.assistant}")
    return _Course(account, prompt, store)


async def _train(course: _Course, base: str, narration: Narration) -> Adapter:
    adapter = await train(
        course.account,
        narration,
        prompt=course.prompt,
        base=base,
        suffix="house",
        rows=_TRAINING_ROWS,
        validation=_VALIDATION_ROWS,
    )
    narration.tell(f"{course.name}: {adapter.model}, {adapter.trained_tokens} tokens trained")
    return adapter


async def _release(course: _Course, adapter: Adapter, narration: Narration) -> str:
    """Make the release that braids all three strands, and give it all traffic; returns its fingerprint."""
    seen = await find_adapter(course.account.gateway, adapter.model)
    loaded = f"{seen['loaded']['replicas']} of {seen['loaded']['of']}"
    narration.tell(f"{course.name}: verdict passed: sha256 {adapter.digest[:16]}…, rank {adapter.rank}")
    narration.tell(f"{course.name}: hot-loaded and probed, status {seen['status']}, held by {loaded} engines")
    number, fingerprint = await _make_release(course, adapter)
    narration.tell(f"{course.name}: release {course.account.assistant}@{number}, fingerprint {fingerprint}")
    rollout = await promote(course.account, number)
    narration.tell(f"{course.name}: promoted to all traffic, rollout revision {rollout['revision']}")
    return fingerprint


async def _make_release(course: _Course, adapter: Adapter) -> tuple[int, str]:
    made = await make_release(course.account, adapter=adapter.model, prompt=course.prompt, store=course.store)
    return made["release"], made["fingerprint"]


def _show_results(answers: list[Marked], narration: Narration) -> None:
    show_table(summarise(answers), "\nboth tenants")
    for name in sorted({one.tenant for one in answers}):
        show_table(summarise([one for one in answers if one.tenant == name]), f"\n{name}")
    narration.tell("\n" + HOW_MEASURED)


def _show_edit(edit: EditOutcome, narration: Narration) -> None:
    narration.tell(f"asked:  {edit.question}")
    narration.tell(f"before: {edit.old_answer}")
    narration.tell(f"after:  {edit.new_answer}")
    unchanged = edit.adapter_digest_before == edit.adapter_digest_after
    narration.tell(
        f"{edit.seconds:.1f} s from the save to the new answer ({edit.seconds_until_live:.1f} s until the document was "
        f"live); adapter {'unchanged' if unchanged else 'CHANGED'}: sha256 {edit.adapter_digest_after[:16]}…"
    )


def _show_swap(swap: SwapOutcome, narration: Narration) -> None:
    shares = ", ".join(f"{count} by {fingerprint}" for fingerprint, count in swap.fingerprints.items())
    narration.tell(f"{swap.requests} requests at concurrency 8: {len(swap.failed)} failed; {shares}")
    narration.tell(f"promoted in {swap.seconds_to_swap:.1f} s, rolled back in {swap.seconds_to_return:.1f} s")
