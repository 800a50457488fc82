"""Votes on answers that applications got."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.answers.service import CitedDocuments
from gateway.answers.tables import AnswerRow
from gateway.diagnoses.case_sources import read_votes
from gateway.feedback import FeedbackRow, service
from gateway.feedback.repository import FeedbackRepository
from gateway.feedback.service import list_feedback, walk_bad_votes
from gateway.tenants.repository import find_tenant
from gateway.vector_stores.service import find_live
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.voting import FEEDBACK, Voting


@on_both_databases
async def test_a_voter_says_one_thing_of_an_answer_and_the_later_one_counts(voting: Voting, gateway: Gateway) -> None:
    asking = await gateway.tenant("kestrel", ("chat",))
    answer = await voting.ask("order 1?")
    sent = {"answer_id": answer["answer_id"], "rating": "up", "voter": "ann", **answer}
    response = await asking.post(FEEDBACK, json=sent)  # an application's own key may vote
    assert response.status_code == 201, response.text
    first = response.json()
    assert (first["model"], first["release"], first["rating"]) == ("desk@2", "desk@2", "up")
    assert (first["messages"], first["reply"]) == (answer["messages"], "About order 1? Fair winds.")
    later = await voting.say({"answer_id": answer["answer_id"]}, rating="down", reason="Too warm.", voter="ann")
    assert (later["id"], later["rating"], later["messages"]) == (first["id"], "down", None)
    unnamed = await voting.say({"answer_id": answer["answer_id"]}, corrected_reply="About order 1.")
    assert unnamed["id"] != first["id"]
    assert unnamed["voter"].startswith("key_")
    assert unnamed["key"] == unnamed["voter"]
    assert first["key"] not in (None, "ann", later["key"])  # of the application; then of the tenant
    taken = {"answer_id": answer["answer_id"], "rating": "up", "voter": unnamed["key"]}
    refused = await asking.post(FEEDBACK, json=taken)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "voter_is_a_key")
    assert (await voting.say(taken))["id"] == unnamed["id"]  # its own name, spelt out
    await voting.say({"answer_id": answer["answer_id"]}, corrected_reply="About order 1.")
    assert [one["id"] for one in (await voting.ok("GET", FEEDBACK))["data"]] == [first["id"], unnamed["id"]]
    assert (await asking.get(FEEDBACK)).status_code == 403
    assert await voting.ok("GET", f"{FEEDBACK}/{first['id']}") == later
    await voting.ok("DELETE", f"{FEEDBACK}/{first['id']}")
    assert (await voting.fault(404, "GET", f"{FEEDBACK}/{first['id']}"))["param"] == "feedback_id"


async def test_a_list_is_narrowed(voting: Voting) -> None:
    one, two, bare = [await voting.ask("order 1?", model) for model in ("desk@1", "desk@2", "base")]
    await voting.say(one, rating="down", voter="ann")
    await voting.say(two, rating="up", voter="ann")
    await voting.say(two, preferred_over=one["answer_id"], other_reply=one["reply"], voter="bob")
    await voting.say(bare, rating="up", voter="bob")

    async def count(**filter: Any) -> int:
        return len((await voting.ok("GET", FEEDBACK, params=filter))["data"])

    assert await count() == 4
    assert await count(answer_id=one["answer_id"]) == 2  # also as the one that lost
    assert await count(rating="up") == 2
    assert await count(voter="bob") == 2
    assert await count(model="base") == 1
    assert await count(release="desk@2", voter="bob") == 1
    assert await count(release="desk@3") == 0


async def test_feedback_that_says_nothing_or_of_others_answers_is_refused(voting: Voting, gateway: Gateway) -> None:
    answer, stranger = await voting.ask("order 1?"), await gateway.tenant("harbor")
    for body, status, param, code in (
        ({"answer_id": answer["answer_id"], "reason": "Hm."}, 400, "rating", "empty_feedback"),
        ({**answer, "preferred_over": answer["answer_id"]}, 400, "preferred_over", None),
        ({**answer, "preferred_over": "chatcmpl-1"}, 404, "preferred_over", "not_found"),
        ({"answer_id": "chatcmpl-1", "rating": "up"}, 404, "answer_id", "not_found"),
        ({**answer, "rating": "up", "messages": [{"role": "assistant", "content": "a"}]}, 400, "messages", None),
        ({**answer, "rating": "good"}, 400, "rating", None),
    ):
        error = await voting.fault(status, "POST", FEEDBACK, json=body)
        assert (error["param"], error["code"] if code else None) == (param, code)
    foreign = await stranger.post(FEEDBACK, json={"answer_id": answer["answer_id"], "rating": "up"})
    assert (foreign.status_code, foreign.json()["error"]["param"]) == (404, "answer_id")


@on_both_databases
async def test_feedback_outlives_the_records_of_answers_and_is_bounded(
    voting: Voting, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await voting.ask("order 1?"), await voting.ask("order 2?")
    await voting.say(one, rating="up")
    stored = (await voting.ok("GET", "/api/storage"))["kinds"]["feedback"]
    assert stored > len(one["reply"])
    monkeypatch.setattr(service, "MOST_FEEDBACK", 1)
    error = await voting.fault(429, "POST", FEEDBACK, json={**two, "rating": "up"})
    assert error["code"] == "too_many_votes"
    await voting.say(one, rating="down", reason="x" * 100)  # one that is there already may change
    assert (await voting.ok("GET", "/api/storage"))["kinds"]["feedback"] > stored
    gateway.state.storage.limit = 1
    await voting.say(one, rating="down")  # what makes room is never refused
    assert (await voting.ok("GET", "/api/storage"))["kinds"]["feedback"] == stored + len("down") - len("up")
    async with gateway.state.database.begin() as session:
        row = await session.get(AnswerRow, one["answer_id"])
        await session.delete(row)
    (left,) = (await voting.ok("GET", FEEDBACK))["data"]
    assert left["answer_id"] == one["answer_id"]


async def test_bad_votes_are_listed_for_whoever_looks_for_faults(voting: Voting, gateway: Gateway) -> None:
    good, lost, wrong, down = [await voting.ask(f"order {number}?") for number in range(4)]
    await voting.say(good, rating="up", voter="ann")
    await voting.say(good, preferred_over=lost["answer_id"], other_reply=lost["reply"], reason="Fuller.", voter="bob")
    await voting.say(wrong, corrected_reply="It sails today.", voter="ann")
    await voting.say({"answer_id": down["answer_id"]}, rating="down", voter="ann")
    async with gateway.state.database.read() as session:
        tenant = await find_tenant(session, "kestrel")
        other = await find_tenant(session, "default")
        assert tenant is not None
        bad = await list_bad_votes(session, tenant.id)
        assert [one.answer_id for one in bad] == [one["answer_id"] for one in (down, wrong, lost)]
        assert [one.release for one in bad] == ["desk@2", "desk@2", None]
        assert (bad[1].corrected_reply, bad[1].reply, bad[2].reason) == ("It sails today.", wrong["reply"], "Fuller.")
        assert bad[2].reply == lost["reply"]
        assert len(await list_bad_votes(session, tenant.id, most=2)) == 2
        assert await list_bad_votes(session, tenant.id, "desk") == bad
        assert await list_bad_votes(session, tenant.id, "other") == bad[2:]  # the answer that lost may be of any
        assert other is None or await list_bad_votes(session, other.id) == []


async def list_bad_votes(session: AsyncSession, tenant: str, *of: str, **more: int) -> list[service.BadVote]:
    return [vote async for some in service.walk_bad_votes(session, tenant, *of, **more) for vote in some]


@on_both_databases
async def test_the_newest_feedback_is_read_in_slices_as_much_as_fits(
    voting: Voting, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [await voting.say(await voting.ask(f"order {number}?"), rating="down") for number in range(5)]
    newest = [one["answer_id"] for one in said[::-1]]
    async with gateway.state.database.read() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        rows, older = await list_feedback(session, tenant.id, assistant="desk", most=10)
        assert ([row.answer_id for row in rows], older) == (newest, 0)
        rows, older = await list_feedback(session, tenant.id, assistant="desk", most=2)
        assert ([row.answer_id for row in rows], older) == (newest[:2], 3)
        monkeypatch.setattr(service, "_SLICE_BYTES", 2 * rows[0].bytes)
        slices = [len(some) async for some in walk_bad_votes(session, tenant.id)]
        assert slices == [2, 2, 1]
        monkeypatch.setattr(service, "_MOST_BYTES", 3 * rows[0].bytes)
        rows, older = await list_feedback(session, tenant.id, assistant="desk", most=10)
        assert ([row.answer_id for row in rows], older) == (newest[:3], 2)
        assert [vote.answer_id for vote in await list_bad_votes(session, tenant.id)] == newest[:3]


async def test_a_diagnosis_reads_no_more_votes_than_it_takes(
    voting: Voting, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        await voting.say(await voting.ask(f"order {number}?"), rating="down")
    for number in range(4):
        await voting.say(await voting.ask(f"order {number}?", "base"), rating="down")  # of nobody's release
    monkeypatch.setattr(service, "_SLICE_ROWS", 1)
    read: list[Sequence[str]] = []
    list_some = FeedbackRepository.list_some

    async def count(self: FeedbackRepository, ids: Sequence[str]) -> list[FeedbackRow]:
        read.append(ids)
        return await list_some(self, ids)

    monkeypatch.setattr(FeedbackRepository, "list_some", count)
    documents = CitedDocuments(find_live)
    async with gateway.state.database.read() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        cases = (await read_votes(session, tenant.id, documents, "desk", 2)).failures
    assert [case.messages[0].content for case in cases] == ["order 3?", "order 2?"]
    assert len(read) == 2
