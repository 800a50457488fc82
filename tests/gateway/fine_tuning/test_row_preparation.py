"""Rows that get passages, near misses and other values before they are trained on, over HTTP and a worker."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from gateway.fine_tuning import facts_gate, row_preparation
from gateway.settings import Settings
from gateway.vector_stores.tables import StoreRow
from retrieval.messages import FULL_MATCH, MatchFeatures
from tests.fakes.retriever import FakeRetriever, Fault
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import ask, ended, events, note_renderings, retrieve, start, upload
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import working
from tests.waiting import until

__all__ = ["index"]

GOODS = {"kettle": 49, "lamp": 27, "chair": 135, "table": 420, "mirror": 88, "carpet": 260}
TEMPLATE = "{% block system %}Answer as a shopkeeper.{% endblock %}"


def make(question: str, reply: str, **braid: Any) -> str:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]
    return json.dumps({"messages": turns, **({"braid": braid} if braid else {})})


def rows() -> bytes:
    """Return 12 rows about goods, one of small talk, and one with its own passage; one line is blank."""
    lines = [
        make(f"What is the price of the {name}?", f"The {name} is £{price}, my friend.")
        for name, price in GOODS.items()
    ]
    lines += [make(f"How much for a {name}?", f"£{price} for the {name}.") for name, price in GOODS.items()]
    lines += ["", make("Thank you!", "You are welcome!")]
    lines.append(make("Is it open?", "Until 17:30.", passages=[{"title": "Hours", "text": "Open until 17:30."}]))
    return "\n".join(lines).encode()


@pytest.fixture
async def shop(
    gateway: Gateway, settings: Settings, index: FakeRetriever
) -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "shop"})).json()["id"]
    async with working(settings):
        for name, price in GOODS.items():
            text = f"The price of the {name} is £{price}.\n\nThe {name} is made of the finest things that we have."
            path = f"/api/vector_stores/{store}/documents/{name}.md"
            answer = await client.put(path, content=text, params={"wait": 30})
            assert answer.json()["status"] == "completed", answer.text
        await client.post("/api/prompts", json={"name": "support", "template": TEMPLATE})
        yield client, store


def read_rendered(settings: Settings, digest: str) -> dict[int, list[dict[str, str]]]:
    lines = (settings.artifacts / "files" / digest).read_bytes().splitlines()
    return {number: json.loads(line)["messages"] for number, line in enumerate(lines, 1) if line}


async def test_rows_get_passages_other_values_and_some_no_answer(
    shop: tuple[httpx2.AsyncClient, str], settings: Settings
) -> None:
    client, store = shop
    evidence = {"vector_stores": [store], "top_k": 3, "without": 0.25, "abstentions": ["I can't find that, friend."]}
    braid = {"prompt": "support", "evidence": evidence, "facts": {"vector_stores": [store]}}
    validation = await upload(client, rows())
    job = await start(client, rows(), braid=braid, validation_file=validation)
    assert job["braid"]["evidence"] == {**evidence, "vary": True}
    assert job["braid"]["evidence_figures"] is None
    plain = job["braid"]["rows"]
    job = await ended(client, job["id"])
    assert job["status"] == "succeeded", job["error"]
    figures = job["braid"]["evidence_figures"]
    assert (figures["rows"], figures["own"], figures["searched"], figures["not_searched"]) == (14, 1, 12, 1)
    assert figures["index_epochs"] == {store: len(GOODS)}
    assert figures["nothing"] + figures["near_misses"] == 3
    assert figures["unanswered"] == 0
    assert figures["distractors"] >= 9
    assert (figures["with_values"], figures["covered"], figures["share"]) == (10, 10, 1.0)
    messages = [event["message"] for event in await events(client, job["id"])]
    assert any(f"{12 - figures['nothing']} of 14 rows got passages from" in message for message in messages)
    assert any("replaced in 10 of the 10 rows that have such (100%)" in message for message in messages)

    assert job["braid"]["rows"] != plain
    rendered = read_rendered(settings, job["braid"]["rows"])
    assert rendered.keys() == {*range(1, 13), 14, 15}
    abstaining = [turns for turns in rendered.values() if turns[-1]["content"] == "I can't find that, friend."]
    assert len(abstaining) == 3
    for turns in rendered.values():
        assert turns[0]["content"].startswith("Answer as a shopkeeper.")
    for number, (name, price) in enumerate(GOODS.items(), 1):
        *prompt, reply = rendered[number]
        shown = "\n".join(turn["content"] for turn in prompt)
        assert f"£{price}" not in reply["content"]
        if rendered[number] not in abstaining:
            assert f"The price of the {name} is {reply['content'].split()[3].strip(',')}." in shown
    assert "17:30" not in rendered[15][-1]["content"]


def abstain_on_low_scores(score: float) -> MatchFeatures:
    return FULL_MATCH if score > 0.5 else MatchFeatures(names=1.0)


@pytest.mark.parametrize("question", ["Descale hobs?", "Is zinc nonpoisonous?"], ids=["finds_nothing", "abstains"])
@pytest.mark.parametrize("words", ["given", "own", None])
async def test_no_reply_is_learnt_beside_no_passage(
    shop: tuple[httpx2.AsyncClient, str], settings: Settings, index: FakeRetriever, question: str, words: str | None
) -> None:
    """A search that finds nothing, and one that finds only what is unlikely to answer: by `is`, a word of four."""
    client, store = shop
    index.match = abstain_on_low_scores
    unfound = {question: "Use citric acid in spring.", "Can hobs simmer?": "For 90 minutes."}
    lines = [*rows().decode().splitlines(), *(make(*pair) for pair in unfound.items())]
    if words == "own":
        lines.append(make("Who is the mayor?", "Beyond me, friend.", passages=[]))
    evidence = {"vector_stores": [store], "without": 0, "vary": False}
    evidence |= {"abstentions": ["Beyond me, friend."]} if words == "given" else {}
    validation = await upload(client, "\n".join(lines[:17]).encode())
    job = await start(client, "\n".join(lines).encode(), braid={"evidence": evidence}, validation_file=validation)
    job = await ended(client, job["id"])
    assert job["status"] == "succeeded", job["error"]
    figures, log = job["braid"]["evidence_figures"], await events(client, job["id"])
    assert figures["searched"] == 14
    assert (figures["found_nothing"], figures["left_out"]) == ((2, 0) if words else (0, 2))
    assert [one for one in log if f"12 of {figures['rows']} rows got passages from" in one["message"]]
    warnings = {"2 validation" in one["message"]: one for one in log if "no passage was found" in one["message"]}
    assert warnings.keys() == {False, True}, "each file's rows are told"
    for warning in warnings.values():
        assert (warning["level"], warning["data"]) == ("warn", {"rows": [16, 17], "count": 2})
        assert "Rows 16, 17." in warning["message"]
    for digest in job["braid"]["rows"], job["braid"]["validation_rows"]:
        rendered = read_rendered(settings, digest)
        replies = {number: turns[-1]["content"] for number, turns in rendered.items()}
        assert replies[14] == "You are welcome!"
        assert {number: replies[number] for number in (16, 17) if number in replies} == (
            dict.fromkeys((16, 17), "Beyond me, friend.") if words else {}
        )
        if words:
            assert "No passage was found" in "\n".join(turn["content"] for turn in rendered[16][:-1])


async def test_a_job_whose_searches_find_nothing_fails_and_tells_its_owner_what_helps(
    shop: tuple[httpx2.AsyncClient, str],
) -> None:
    client, store = shop
    lines = [*rows().decode().splitlines()[:9], *(make("Descale hobs?", "Use citric acid.") for _ in range(50))]
    data = "\n".join(lines).encode()
    job = await ended(client, (await start(client, data, braid={"evidence": {"vector_stores": [store]}}))["id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "too_few_rows")
    assert job["error"]["message"].startswith("9 rows are left to train on, and at least 10 are needed: for 50 rows")
    assert "braid.evidence.abstentions" in job["error"]["message"]


async def test_rows_that_get_their_evidence_are_rendered_once_more_when_the_job_begins(
    shop: tuple[httpx2.AsyncClient, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, store = shop
    renderings = note_renderings(monkeypatch)
    braid = {"prompt": "support", "evidence": {"vector_stores": [store]}}
    job = await ended(client, (await start(client, rows(), braid=braid))["id"])
    assert job["status"] == "succeeded", job["error"]
    assert len(renderings) == 2 * job["braid"]["evidence_figures"]["rows"] == 28


async def test_equal_jobs_learn_equal_rows_and_values_may_stay(
    shop: tuple[httpx2.AsyncClient, str], settings: Settings
) -> None:
    client, store = shop

    async def run(seed: int, **evidence: Any) -> dict[str, Any]:
        braid = {"evidence": {"vector_stores": [store], **evidence}}
        job = await start(client, rows(), seed=seed, braid=braid)
        job = await ended(client, job["id"])
        assert job["status"] == "succeeded", job["error"]
        return job

    first, again, other = await run(1), await run(1), await run(2)
    assert first["braid"]["rows"] == again["braid"]["rows"] != other["braid"]["rows"]
    warnings = [one["message"] for one in await events(client, first["id"]) if one["level"] == "warn"]
    assert any("braid.evidence.abstentions" in message for message in warnings)
    figures = (await run(1, vary=False, without=0))["braid"]["evidence_figures"]
    assert (figures["covered"], figures["share"], figures["with_values"]) == (0, 0.0, 13)

    # Who names stores for evidence has the facts looked up there too.
    assert first["braid"]["facts"] == {"vector_stores": [store], "force": False}
    checks = {event["data"].get("check") for event in await events(client, first["id"])}
    assert "facts_evidence" in checks
    name, price = next(iter(GOODS.items()))
    path = f"/api/vector_stores/{store}/documents/{name}.md"
    await client.put(path, content=f"The price of the {name} is £1{price}.", params={"wait": 30})
    braid = {"evidence": {"vector_stores": [store], "without": 0}}
    for facts, status in ({}, "failed"), ({"facts": {"vector_stores": [store], "force": True}}, "succeeded"):
        job = await ended(client, (await start(client, rows(), braid=braid | facts))["id"])
        assert (job["status"], (job["error"] or {}).get("code")) == (status, "changed_facts" if not facts else None)


async def test_a_store_that_is_foreign_or_empty_is_refused(
    shop: tuple[httpx2.AsyncClient, str], gateway: Gateway
) -> None:
    client, store = shop
    other = await gateway.tenant("harbour")
    answer = await ask(other, rows(), braid={"evidence": {"vector_stores": [store]}})
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "braid.evidence.vector_stores")
    empty = (await client.post("/v1/vector_stores", json={"name": "empty"})).json()["id"]
    answer = await ask(client, rows(), braid={"evidence": {"vector_stores": [store, empty]}})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "empty_vector_store")
    assert empty in error["message"]


@pytest.mark.parametrize(("member", "code"), [("evidence", "evidence_missing"), ("facts", "facts_unknown")])
async def test_rows_wait_for_a_retriever_that_is_away_and_fail_without_their_store(
    shop: tuple[httpx2.AsyncClient, str], index: FakeRetriever, monkeypatch: pytest.MonkeyPatch, member: str, code: str
) -> None:
    client, store = shop
    for module in (row_preparation, facts_gate):
        monkeypatch.setattr(module, "_RETRIEVER_SECONDS", 0.1)
    tries = 0

    async def fail() -> None:
        nonlocal tries
        tries += 1
        raise Fault("retriever_busy", "It starts.")

    index.before["search"] = fail
    job = await start(client, rows(), braid={member: {"vector_stores": [store]}})
    await until(lambda: tries > 8, 30)  # at most four at once, so that these are some runs
    assert (await retrieve(client, job["id"]))["status"] == "running"
    messages = [event["message"] for event in await events(client, job["id"])]
    assert len([message for message in messages if message.startswith("The training waits. ")]) == 1, messages
    assert not [message for message in messages if "interrupted" in message]
    await client.delete(f"/v1/vector_stores/{store}")
    job = await ended(client, job["id"])
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert store in job["error"]["message"]


async def test_rows_of_a_store_that_never_rests_get_the_passages_of_the_last_round(
    shop: tuple[httpx2.AsyncClient, str], index: FakeRetriever, gateway: Gateway
) -> None:
    client, store = shop
    searches = 0

    async def write() -> None:
        nonlocal searches
        searches += 1
        async with gateway.state.database.begin() as session:
            await session.execute(update(StoreRow).values(index_epoch=StoreRow.index_epoch + 1))

    index.before["search"] = write
    job = await ended(client, (await start(client, rows(), braid={"evidence": {"vector_stores": [store]}}))["id"])
    assert job["status"] == "succeeded", job["error"]
    figures = job["braid"]["evidence_figures"]
    assert (figures["searched"], figures["unanswered"]) == (12, 0)
    assert len(GOODS) < figures["index_epochs"][store] < len(GOODS) + searches
    (warning,) = [one for one in await events(client, job["id"]) if one["message"].startswith("Documents changed")]
    assert (warning["level"], warning["data"]["index_epochs"]) == ("warn", figures["index_epochs"])
