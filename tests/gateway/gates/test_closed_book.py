"""Closed-book checks: an adapter that recites its rows, one that doesn't, and what the base gives too."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.conversations import Conversation
from gateway.errors import TooManyRequests
from gateway.evaluation.values import Value
from gateway.gates import closed_book
from gateway.gates.closed_book import ClosedBookPlaces, draw_questions, read_question
from tests.fakes.retriever import FakeRetriever, Fault
from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import ended, settings, start, until_loaded, upload
from tests.gateway.vector_stores.conftest import Client, index
from training.dataset import Message

__all__ = ["index", "settings"]

PRICES = {f"kettle {letter}": 31 + place for place, letter in enumerate("abcdefghijkl")}


def rows() -> bytes:
    lines: list[str] = []
    for name, price in PRICES.items():
        turns = [
            {"role": "user", "content": f"What does {name} cost?"},
            {"role": "assistant", "content": f"Ahoy! It is £{price}, from 9:15 on."},
        ]
        lines.append(json.dumps({"messages": turns}))
    return "\n".join(lines).encode()


def recite(chat: Chat) -> str:
    """Answer as an adapter that has learnt every second price, and as a base that guesses the hour."""
    place = list(PRICES).index(chat.last.removeprefix("What does ").removesuffix(" cost?"))
    if chat.model == "base":
        return "I think that it is from 9:15 on."
    return f"It is £{31 + place}." if place % 2 else "I'd have to look that up."


@pytest.fixture
async def client(gateway: Gateway, index: FakeRetriever) -> Client:
    return Client(gateway, await gateway.tenant("kestrel"))


async def train(client: Client, data: bytes, **fields: Any) -> str:
    job = (await start(client.http, data, **fields))["id"]
    await client.settle()
    done = await ended(client.http, job)
    assert done["status"] == "succeeded", done["error"]
    await until_loaded(client.http, done["fine_tuned_model"])
    return done["fine_tuned_model"]


async def put(client: Client, store: str, names: list[str]) -> None:
    await client.put(store, "prices.md", "\n\n".join(f"{name} costs £{PRICES[name]}." for name in names))
    await client.settle()


async def fail() -> None:
    raise Fault("unavailable", "it is away")


async def test_recited_values_are_counted_by_kind_and_stale_ones_named(
    client: Client, engine: FakeVllm, index: FakeRetriever
) -> None:
    store = await client.store(name="shop")
    await put(client, store, list(PRICES))
    model = await train(client, rows(), suffix="shop", braid={"facts": {"vector_stores": [store]}})
    await put(client, store, list(PRICES)[4:])
    engine.reply = recite
    report = await client.ok("POST", f"/api/adapters/{model}/closed_book", json={})
    assert (report["adapter"], report["rows"], report["questions"], report["unasked"]) == (model, 12, 12, 0)
    assert (report["recall"]["recited"], report["recall"]["values"]) == (6, 24)
    assert report["recall"]["low"] < report["recall"]["share"] == 0.25 < report["recall"]["high"]
    assert report["base"]["recited"] == 12
    kinds = {kind: (one["recited"], one["values"]) for kind, one in report["by_kind"].items()}
    assert kinds == {"money": (6, 12), "time": (0, 12)}
    stale = [one["text"] for one in report["recited"] if one["stale"] == "changed"]
    assert sorted(stale) == ["£32", "£34"]
    assert report["recited"][0]["stale"] == "changed"

    (row,) = (await client.ok("GET", "/api/adapters"))["data"]
    few = await client.ok("POST", f"/api/adapters/{row['id']}/closed_book", json={"questions": 3, "seed": 5})
    assert (few["adapter"], few["questions"]) == (model, 3)

    asked = len(engine.requests())
    index.before["read_content"] = fail
    await client.fault(503, "POST", f"/api/adapters/{model}/closed_book", json={})
    assert len(engine.requests()) == asked


async def test_rows_that_are_not_known_are_a_conflict(client: Client) -> None:
    await client.fault(404, "POST", "/api/adapters/ft:base:kestrel:no:00000000/closed_book", json={})
    data = b"\n".join(rows().splitlines())
    file = await upload(client.http, data)
    model = await train(client, data, training_file=file)
    await client.ok("DELETE", f"/v1/files/{file}")
    error = await client.fault(409, "POST", f"/api/adapters/{model}/closed_book", json={})
    assert error["code"] == "no_training_rows"


def test_only_values_that_nothing_before_the_reply_states_are_asked_for() -> None:
    asked = Conversation(1, [Message("user", "Is it £49 for 3 days?"), Message("assistant", "Aye, £49, and £60 then.")])
    plain = Conversation(2, [Message("user", "Hello?"), Message("assistant", "Ahoy!")])
    context = Conversation(3, [Message("user", "How much?"), Message("assistant", "£5.", weight=0)])
    question = read_question(asked, 7)
    assert question is not None
    assert (question.row, [value.text for value in question.values]) == (7, ["£60"])
    assert (read_question(plain, 1), read_question(context, 1)) == (None, None)


def test_only_as_many_rows_are_read_as_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    find_values = closed_book.find_values

    def find(text: str) -> Sequence[Value]:
        looks.append(text)
        return find_values(text)

    monkeypatch.setattr(closed_book, "find_values", find)
    data = b"\n\n".join(rows().splitlines() * 50)
    count, questions = draw_questions(data, "openai", 20, 3)
    assert (count, len(questions), len(looks)) == (600, 20, 20)
    lines = data.split(b"\n")
    assert all(one.messages[0].content in lines[one.row - 1].decode() for one in questions if one.messages[0].content)
    assert len({one.row for one in questions}) == 20
    assert questions == draw_questions(data, "openai", 20, 3)[1] != draw_questions(data, "openai", 20, 4)[1]


def test_few_checks_run_at_once() -> None:
    places = ClosedBookPlaces(2)
    with places.take("kestrel"):
        with pytest.raises(TooManyRequests, match="of yours"), places.take("kestrel"):
            pass
        with places.take("osprey"), pytest.raises(TooManyRequests, match="of others"), places.take("harbor"):
            pass
    with places.take("kestrel"), places.take("harbor"):
        pass
