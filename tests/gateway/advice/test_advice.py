"""An advice from the request to the page: five made tenants, and a scripted engine over HTTP."""

from typing import Any

import msgspec
import pytest

from gateway.advice.advice_page import render_page
from gateway.advice.report import AdviceReport, ArmFigures
from gateway.composition import open_handlers
from gateway.engines.served_base_model import ServedBaseModel
from gateway.engines.training_traits import TrainingTraits
from gateway.jobs.claim import claim_next
from tests.fakes import faults
from tests.fakes._http import Received
from tests.fakes.retriever import FakeRetriever
from tests.fakes.trainer import preferences
from tests.fakes.vllm import CHAT, Chat, FakeVllm, Rule
from tests.gateway.advice.made_tenants import Kind, MadeTenant, make_tenant, play
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import ended, settings, start, upload
from tests.gateway.vector_stores.conftest import Client, index

__all__ = ["index", "settings"]

URL = "/api/evaluations"
LEARNT = 0.55


@pytest.fixture
async def client(gateway: Gateway, index: FakeRetriever, engine: FakeVllm) -> Client:
    return Client(gateway, await gateway.tenant("kestrel"))


def prepare_tenant(engine: FakeVllm, kind: Kind, *, seed: int = 21, rows: int = 60) -> MadeTenant:
    tenant = make_tenant(kind, seed, rows=rows)
    play(engine, tenant)
    return tenant


async def add_documents(client: Client, tenant: MadeTenant, *, edited: bool = False, store: str = "") -> str:
    store = store or await client.store()
    for key, text in tenant.documents(edited=edited).items():
        await client.put(store, key, text)
    await client.settle()
    return store


async def train(client: Client, tenant: MadeTenant, **fields: Any) -> str:
    job = await start(client.http, tenant.data(0, LEARNT), suffix=tenant.kind, **fields)
    await client.settle()
    return (await ended(client.http, job["id"]))["fine_tuned_model"]


async def advise(client: Client, tenant: MadeTenant, **fields: Any) -> AdviceReport:
    file = await upload(client.http, tenant.data(), purpose="user_data")
    row = await client.ok("POST", URL, json={"kind": "advice", "file_id": file, **fields})
    await client.settle()
    row = await client.ok("GET", f"{URL}/{row['id']}")
    assert row["status"] == "succeeded", row
    assert row["done"] == row["total"] > 0
    return msgspec.convert(await client.ok("GET", f"{URL}/{row['id']}/report"), AdviceReport)


def find_arm(report: AdviceReport, name: str) -> ArmFigures:
    return next(arm for arm in report.arms if arm.name == name)


async def test_a_tenant_with_a_style_is_told_to_train_and_then_to_use_the_adapter(
    client: Client, engine: FakeVllm
) -> None:
    tenant = prepare_tenant(engine, "style")
    before = await advise(client, tenant)
    assert before.arm in ("guide", "few-shot")
    assert any("training an adapter is the next step" in one and "60 s" not in one for one in before.next)
    assert "No adapter was named" in before.missing["adapter"]
    assert "No documents were given" in before.missing["facts"]
    assert (before.needs_style, before.gains_facts, before.adapter) == (True, False, None)

    adapter = await train(client, tenant)
    after = await advise(client, tenant, adapter=adapter)
    assert after.arm == "adapter"
    assert adapter in after.use[0]
    assert after.learnt == round(LEARNT * 60)
    assert after.rows == 60 - after.learnt
    longer = find_arm(after, "few-shot")
    assert longer.break_even is not None
    assert longer.break_even > 0
    assert any(f"{longer.break_even:,} requests" in one for one in after.next)
    assert not after.changed


async def test_a_training_costs_what_a_job_of_its_rows_says(client: Client, engine: FakeVllm) -> None:
    """With the base's own answers, which a job learns among its rows unless it is told otherwise."""
    tenant = prepare_tenant(engine, "style")
    said = (await advise(client, tenant)).training
    assert (said["rows"], said["rehearsal"]) == (30, 16)
    assert said["summary"].startswith("30 rows and 16 of the base's own: ")
    job = await start(client.http, tenant.data(0, said["rows"] / 60), braid={"rehearsal": None})
    expected = job["braid"]["estimate"]
    names = ("rows", "rehearsal", "steps", "cost", "currency", "basis")
    assert {name: said[name] for name in names} == {name: expected[name] for name in names}
    assert said["seconds"] == pytest.approx(expected["seconds"], rel=0.1)


async def test_a_training_is_told_without_rehearsal_where_the_base_learns_none(
    client: Client, engine: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ServedBaseModel, "find_training_traits", lambda _: TrainingTraits(needs_system=True))
    said = (await advise(client, prepare_tenant(engine, "style"))).training
    assert (said["rows"], said["rehearsal"]) == (30, 0)


async def test_a_tenant_with_facts_is_told_to_index_them_and_nothing_more(client: Client, engine: FakeVllm) -> None:
    tenant = prepare_tenant(
        engine, "facts", rows=100
    )  # as many as the command asks; with fewer a gap by chance is likelier
    store = await add_documents(client, tenant)
    report = await advise(client, tenant, vector_store_id=store)
    assert report.arm == "facts"
    assert (report.needs_style, report.gains_facts) == (False, True)
    assert any("of replies: don't train them, index them" in one for one in report.avoid)
    assert not any("training an adapter" in one for one in report.next)
    assert report.look.share > 0.6
    assert list(report.index_epochs) == [store]
    base, facts = find_arm(report, "base"), find_arm(report, "facts")
    assert base.facts is not None
    assert facts.facts is not None
    assert (base.facts.value < 0.1, facts.facts.value > 0.8) == (True, True)


async def test_a_tenant_with_both_is_told_to_use_both(client: Client, engine: FakeVllm) -> None:
    tenant = prepare_tenant(engine, "both", rows=100)
    store, adapter = await add_documents(client, tenant), await train(client, tenant)
    report = await advise(client, tenant, vector_store_id=store, adapter=adapter)
    assert report.arm == "adapter+facts"
    assert "together with your documents" in report.use[0]
    assert len(report.answers) == 20
    decided = {(one.arm, one.against, one.measure): one.outcome for one in report.comparisons}
    assert decided["adapter+facts", "adapter", "facts"] == "better"
    assert "better" in [outcome for (arm, _, _), outcome in decided.items() if arm == "adapter+facts"]
    page = render_page(report)
    assert page.count("<svg") == 2
    assert all(one.replace("'", "&#39;") in page for one in (*report.use, *report.avoid))


async def test_a_bounded_task_is_told_that_three_examples_are_enough(client: Client, engine: FakeVllm) -> None:
    tenant = prepare_tenant(engine, "bounded")
    report = await advise(client, tenant)
    assert (report.arm, report.bounded) == ("few-shot", True)
    assert len(report.examples) == 3
    assert len({reply for _, reply in report.examples}) == 3
    assert any("No training is needed" in one for one in report.next)


async def test_facts_that_were_trained_are_named_once_documents_change(client: Client, engine: FakeVllm) -> None:
    tenant = prepare_tenant(engine, "stale", rows=80)
    store = await add_documents(client, tenant)
    adapter = await train(client, tenant, braid={"facts": {"vector_stores": [store]}})
    fresh = await advise(client, tenant, vector_store_id=store, adapter=adapter)
    assert fresh.changed == []
    assert any("don't train them, index them" in one for one in fresh.avoid)

    await add_documents(client, tenant, edited=True, store=store)
    report = await advise(client, tenant, vector_store_id=store, adapter=adapter)
    assert report.arm in ("facts", "prompt+facts", "guide+facts", "few-shot+facts")
    assert report.look.pace == "several times a day"
    used = find_arm(report, report.arm)
    assert used.facts is not None
    assert used.facts.value > 0.85
    assert all(one.learnt and (one.stated, one.version) == (1, 2) for one in report.changed[:3])
    values = {one.text for one in report.changed if one.learnt}
    asked = {question for question, _ in tenant.rows[: round(LEARNT * len(tenant.rows))] if question.subject != "help"}
    assert {text.strip("£").removesuffix(" months") for text in values} >= {
        str(tenant.facts[one.subject, one.item]) for one in asked
    }
    told = next(one for one in report.avoid if one.startswith("Don't use the adapter"))
    assert report.changed[0].text in told
    assert report.changed[0].key in told
    assert any("It states them in" in one for one in report.avoid)
    assert any(one.startswith("Train the adapter again") for one in report.next)


async def test_a_prompt_of_the_tenants_own_is_an_arm_and_stands_in_those_that_have_a_prompt(
    client: Client, engine: FakeVllm
) -> None:
    tenant = prepare_tenant(engine, "style")
    plain = engine.reply

    def reply(chat: Chat) -> str:
        system = "\n".join(str(one["content"]) for one in chat.messages if one["role"] == "system")
        question = next((one for text, one in tenant.by_text.items() if chat.last.endswith(text)), None)
        if "Write as the pirate desk." in system and question is not None:
            return tenant.answer("adapter", question, None)
        return plain(chat)

    engine.reply = reply
    template = "{% block system %}Write as the {{ voice }} desk.{% endblock %}"
    for source in (template, "{% block system %}Write as you like.{% endblock %}"):
        assert (await client.http.post("/api/prompts", json={"name": "support", "template": source})).status_code == 201
    store = await add_documents(client, tenant)
    named = {"prompt": "support@1", "variables": {"voice": "pirate"}}
    report = await advise(client, tenant, vector_store_id=store, **named)
    assert (report.prompt, report.arm, report.label) == ("support@1", "prompt", "your prompt support@1")
    assert report.use[0] == "Use your prompt support@1."
    asked = [received.body.decode() for received in engine.requests() if received.path == CHAT]
    with_prompt = [body for body in asked if "Write as the pirate desk." in body]
    assert len(with_prompt) == len(asked) * 6 // 8  # prompt, guide and examples; with documents and without
    assert all("You write for the support desk" in body for body in with_prompt)

    newest = await advise(client, tenant, prompt="support")
    assert newest.prompt == "support@2"
    assert newest.arm != "prompt"
    other = next(one for one in newest.arms if one.name == "prompt")
    assert other.label == "your prompt support@2"


async def test_a_prompt_that_cannot_be_asked_with_is_refused(client: Client, engine: FakeVllm) -> None:
    tenant = prepare_tenant(engine, "style")
    template = "{% block system %}Write as the {{ voice }} desk.{% endblock %}"
    await client.http.post("/api/prompts", json={"name": "support", "template": template})
    file = await upload(client.http, tenant.data(), purpose="user_data")
    body: dict[str, Any] = {"kind": "advice", "file_id": file}
    await client.fault(404, "POST", URL, json={**body, "prompt": "support@2"})
    assert (await client.fault(400, "POST", URL, json={**body, "prompt": "support"}))["code"] == "missing_variables"
    unknown = {**body, "prompt": "support", "variables": {"voice": "a", "mood": "b"}}
    assert (await client.fault(400, "POST", URL, json=unknown))["code"] == "unknown_variables"
    await client.fault(400, "POST", URL, json={**body, "variables": {"voice": "a"}})
    retrieval = {"kind": "retrieval", "vector_store_id": "vs_1", "file_id": file, "prompt": "support"}
    await client.fault(400, "POST", URL, json=retrieval)


async def test_what_cannot_be_advised_on_is_refused(client: Client, gateway: Gateway, engine: FakeVllm) -> None:
    tenant = prepare_tenant(engine, "both")
    few = await upload(client.http, tenant.data(0, 0.2), purpose="user_data")
    good = await upload(client.http, tenant.data(), purpose="user_data")
    body: dict[str, Any] = {"kind": "advice", "file_id": few}
    assert (await client.fault(400, "POST", URL, json=body))["code"] == "too_few_rows"
    odd = await upload(client.http, b"what", purpose="user_data")
    assert (await client.fault(400, "POST", URL, json={**body, "file_id": odd}))["code"] == "invalid_rows"
    body["file_id"] = good
    await client.fault(404, "POST", URL, json={**body, "adapter": "ft:base:other:x:1"})
    await client.fault(404, "POST", URL, json={**body, "vector_store_id": "vs_nowhere"})
    await client.fault(400, "POST", URL, json={**body, "generate": 20})
    await client.fault(400, "POST", URL, json={"kind": "retrieval", "file_id": good})
    other = Client(gateway, await gateway.tenant("harbor"))
    await other.fault(404, "POST", URL, json=body)


async def test_an_adapter_that_has_learnt_all_rows_leaves_none_to_ask(client: Client, engine: FakeVllm) -> None:
    tenant = prepare_tenant(engine, "style")
    job = await start(client.http, tenant.data(), suffix="all")
    await client.settle()
    adapter = (await ended(client.http, job["id"]))["fine_tuned_model"]
    file = await upload(client.http, tenant.data(), purpose="user_data")
    row = await client.ok("POST", URL, json={"kind": "advice", "file_id": file, "adapter": adapter})
    await client.settle()
    row = await client.ok("GET", f"{URL}/{row['id']}")
    assert (row["status"], row["error"]["code"]) == ("failed", "too_few_rows")
    assert "Give conversations that it hasn't learnt" in row["error"]["message"]


async def test_what_adapters_before_it_learnt_is_not_asked_and_unknown_rows_are_named(
    client: Client, engine: FakeVllm
) -> None:
    tenant = prepare_tenant(engine, "style")
    first = await start(client.http, tenant.data(0, LEARNT), suffix="first")
    await client.settle()
    model = (await ended(client.http, first["id"]))["fine_tuned_model"]
    adapter = await _train_on(client, tenant, model)
    report = await advise(client, tenant, adapter=adapter)
    assert (report.learnt, report.unknown, report.arm) == (round(LEARNT * 60), [], "adapter")

    await client.ok("DELETE", f"/v1/files/{first['training_file']}")
    report = await advise(client, tenant, adapter=adapter)
    assert (report.learnt, report.unknown) == (0, [model])
    assert report.arm != "adapter"
    assert any(model in one and "isn't known" in one for one in report.avoid)


async def _train_on(client: Client, tenant: MadeTenant, model: str) -> str:
    job = await start(client.http, preferences(50), model=model, method={"type": "dpo"}, suffix=tenant.kind)
    await client.settle()
    return (await ended(client.http, job["id"]))["fine_tuned_model"]


async def test_a_run_that_was_killed_does_not_ask_again(client: Client, gateway: Gateway, engine: FakeVllm) -> None:
    tenant = prepare_tenant(engine, "style")
    file = await upload(client.http, tenant.data(), purpose="user_data")
    await client.ok("POST", URL, json={"kind": "advice", "file_id": file})
    state = gateway.state
    async with open_handlers(state.settings, state.database) as handlers:
        claim = await claim_next(state.database, kinds=["advise"], worker="w", lease_seconds=60)
        assert claim is not None
        engine.rule = _fail_after(engine, 40)
        with pytest.raises(Exception, match=r"model server"):
            await handlers["advise"].run(claim)
        engine.rule = None
        asked = len(engine.requests())
        await handlers["advise"].run(claim)
        assert len(engine.requests()) - asked < 4 * 30 - 30


def _fail_after(engine: FakeVllm, most: int) -> Rule:
    def fail(received: Received) -> faults.Fault | None:
        return faults.status(503, "down") if received.path == CHAT and len(engine.requests()) > most else None

    return fail
