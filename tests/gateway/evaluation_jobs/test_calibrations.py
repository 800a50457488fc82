"""A store's own weights: fitted by a job, kept with the store, and used in answers."""

from typing import Any

import pytest

from gateway.vector_stores.tables import StoreRow
from retrieval.messages import MatchFeatures
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import Client, index, kestrel

__all__ = ["index", "kestrel", "settings"]

URL = "/api/evaluations"
WORDS = "amber birch cedar daisy elder fennel ginger hazel iris juniper kale lilac maple nettle olive poppy".split()
PLACES = ("Ardent", "Brook", "Coast")
QUESTIONS = [
    {"question": f"Where does the {word} of {other} grow?", "documents": [f"{word}.md"]}
    for word in WORDS
    for other in PLACES
]


@pytest.fixture
async def store(kestrel: Client, index: FakeRetriever) -> str:
    # What this store's passages match by is the words, of which other passages have all but one.
    index.match = lambda score: MatchFeatures(closeness=0.5, coverage=score, heading=float(score > 0.9), names=1.0)
    store = await kestrel.store(name="plants")
    for word in WORDS:
        parts = [f"Where does the {word} of {place} grow? {'Deep ' * 30} in woods." for place in PLACES]
        await kestrel.put(store, f"{word}.md", "\n\n".join(parts))
    await kestrel.settle()
    return store


async def calibrate(client: Client, store: str, **more: Any) -> dict[str, Any]:
    request = {"kind": "calibration", "vector_store_id": store, "least_probability": 0.3, **more}
    queued = await client.ok("POST", URL, json=request)
    await client.settle()
    return await client.ok("GET", f"{URL}/{queued['id']}")


@on_both_databases
async def test_a_store_is_calibrated_by_labelled_questions_and_keeps_the_weights(
    kestrel: Client, store: str, index: FakeRetriever, gateway: Gateway
) -> None:
    before = await kestrel.ok("GET", f"/api/vector_stores/{store}/index")
    assert before["calibration"] is None
    done = await calibrate(kestrel, store, questions=QUESTIONS)
    assert (done["status"], done["kind"], done["error"]) == ("succeeded", "calibration", None)
    report = await kestrel.ok("GET", f"{URL}/{done['id']}/report")
    assert (report["kind"], report["source"], report["adopted"], report["embedder"]) == (
        *("calibration", "request", True),
        "fake",
    )
    assert report["after"]["loss"] < report["before"]["loss"]
    assert report["after"]["abstention"]["precision"]["value"] >= 0.9
    assert report["questions"] == len(QUESTIONS)
    # Every question is searched for twice, once without the document that answers it.
    assert sum(len(query.exclude) == 1 for query in index.queries) == len(QUESTIONS)
    state = (await kestrel.ok("GET", f"/api/vector_stores/{store}/index"))["calibration"]
    assert (state["version"], state["source"], state["in_use"], state["evaluation_id"]) == (
        *(1, "request", True),
        done["id"],
    )
    await calibrate(kestrel, store, questions=QUESTIONS)
    url = f"/api/vector_stores/{store}/index"
    assert (await kestrel.ok("GET", url))["calibration"]["version"] == 2
    withdrawn = (await kestrel.ok("DELETE", f"{url}/calibration"))["calibration"]
    assert (withdrawn["version"], withdrawn["in_use"]) == (2, False)
    assert "taken back" in withdrawn["problem"]
    again = await kestrel.http.delete(f"{url}/calibration")
    assert (again.status_code, again.json()["error"]["code"]) == (404, "not_found")
    await calibrate(kestrel, store, questions=QUESTIONS)
    state = (await kestrel.ok("GET", url))["calibration"]
    assert (state["version"], state["in_use"]) == (3, True)  # what answers are recorded with is never given again


async def test_answers_go_by_the_stores_weights_until_the_embedder_changes(
    kestrel: Client, store: str, gateway: Gateway
) -> None:
    await calibrate(kestrel, store, questions=QUESTIONS)
    await kestrel.http.post("/api/assistants", json={"name": "support"})
    release = {"retrieval": {"vector_stores": [store]}}
    made = await kestrel.http.post("/api/assistants/support/releases", json=release)
    assert made.status_code == 201, made.text

    async def ask() -> dict[str, Any]:
        messages = [{"role": "user", "content": QUESTIONS[0]["question"]}]
        body = {"model": "support@1", "messages": messages}
        answer = await kestrel.ok("POST", "/v1/chat/completions", json=body)
        return await kestrel.ok("GET", f"/api/answers/{answer['id']}")

    own = await ask()
    assert own["calibrations"] == {store: 1}
    async with gateway.state.database.begin() as session:
        row = await session.get(StoreRow, store)
        assert row is not None
        row.calibration = {**(row.calibration or {}), "embedder": "another"}
    general = await ask()
    assert general["calibrations"] == {}
    assert general["answer_probability"] != own["answer_probability"]
    state = (await kestrel.ok("GET", f"/api/vector_stores/{store}/index"))["calibration"]
    assert state["in_use"] is False
    assert "another" in state["problem"]


async def test_the_base_model_writes_the_questions_where_nobody_labelled_any(
    kestrel: Client, store: str, engine: FakeVllm
) -> None:
    done = await calibrate(kestrel, store, generate=20)
    assert (done["status"], done["error"]["code"]) == ("failed", "invalid_labels")
    assert "wrote no usable question" in done["error"]["message"]  # an engine that repeats what it is told
    engine.reply = lambda chat: chat.last.partition("Passage:\n")[2].partition("?")[0] + "?"
    done = await calibrate(kestrel, store, generate=48)
    assert (done["status"], done["source"], done["error"]) == ("succeeded", f"generated by {engine.model}", None)
    report = await kestrel.ok("GET", f"{URL}/{done['id']}/report")
    assert {one["text"] for one in report["searches"]} == {row["question"] for row in QUESTIONS}
    assert (report["questions"], report["adopted"]) == (48, True)


async def test_a_calibration_takes_one_source_of_questions_and_one_store(kestrel: Client, store: str) -> None:
    for more in ({}, {"generate": 20, "questions": QUESTIONS}, {"generate": 20, "against": [store]}):
        request = {"kind": "calibration", "vector_store_id": store, **more}
        assert (await kestrel.fault(400, "POST", URL, json=request))["message"]
    few = await calibrate(kestrel, store, questions=QUESTIONS[:3])
    assert (few["status"], few["error"]["code"]) == ("failed", "invalid_labels")
