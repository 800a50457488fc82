"""Filters of a release and of a request: both hold, and neither widens what the other lets through."""

from typing import Any

import httpx2
import pytest

from tests.fakes.passages import FakePassages, make_passage
from tests.gateway.conftest import Gateway

AREA = {"type": "eq", "key": "area", "value": "kettles"}
YEAR = {"type": "gte", "key": "year", "value": 2026}
MESSAGES = [{"role": "user", "content": "How long is the warranty?"}]


class Support:
    """An assistant; `ask` returns the filters that reached the index."""

    def __init__(self, gateway: Gateway, manager: httpx2.AsyncClient, store: str, passages: FakePassages) -> None:
        self.gateway = gateway
        self.manager = manager
        self.store = store
        self._passages = passages

    async def release(self, filters: Any = None, status: int = 201) -> dict[str, Any]:
        retrieval = {"vector_stores": [self.store], **({} if filters is None else {"filters": filters})}
        made = await self.manager.post("/api/assistants/support/releases", json={"retrieval": retrieval})
        assert made.status_code == status, made.text
        return made.json()

    async def ask(self, release: int, braid: Any = None, status: int = 200) -> Any:
        client = await self.gateway.tenant("kestrel", ("chat",))
        asked = {"model": f"support@{release}", "messages": MESSAGES, **({} if braid is None else {"braid": braid})}
        answer = await client.post("/v1/chat/completions", json=asked)
        assert answer.status_code == status, answer.text
        self.answer = answer.json()
        return self._passages.queries[-1].filters if status == 200 else self.answer["error"]


@pytest.fixture
async def support(gateway: Gateway, passages: FakePassages) -> Support:
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    passages.find = lambda _query: [make_passage(store, 1, "31 months")]
    await client.post("/api/assistants", json={"name": "support"})
    return Support(gateway, client, store, passages)


async def test_a_release_without_filters_asks_without(support: Support) -> None:
    number = (await support.release())["release"]
    assert await support.ask(number) is None
    spec = (await support.manager.get("/api/assistants/support/releases")).json()["data"][0]["spec"]
    assert "filters" not in spec["retrieval"]  # nor in the digest of those that were made before there were any


async def test_the_filters_of_release_and_request_must_both_hold(support: Support) -> None:
    first, second = await support.release(), await support.release(AREA)
    assert first["fingerprint"] != second["fingerprint"]
    assert await support.ask(second["release"]) == AREA
    assert await support.ask(first["release"], {"filters": YEAR}) == YEAR
    assert await support.ask(second["release"], {"filters": YEAR}) == {"type": "and", "filters": [AREA, YEAR]}
    anything = {"type": "or", "filters": [AREA, {"type": "ne", "key": "area", "value": "kettles"}]}
    assert await support.ask(second["release"], {"filters": anything}) == {"type": "and", "filters": [AREA, anything]}
    assert support.answer["system_fingerprint"] == second["fingerprint"]
    record = (await support.manager.get(f"/api/answers/{support.answer['id']}")).json()
    assert record["filters"] == anything


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"type": "like", "key": "area", "value": "x"}, "Use one of eq"),
        ({"type": "gt", "key": "year", "value": "2026"}, "strings have no order"),
        ({"type": "in", "key": "area", "value": "x"}, "must be a list"),
        ({"type": "and", "filters": []}, "list of 1 to 100"),
        ({"type": "eq", "key": "area", "value": {"$ne": 1}}, "not dict"),
        ({"type": "or", "filters": [{"type": "in", "key": "a", "value": [0] * 100}] * 6}, "500 are the most"),
        ({}, "filters.type is None"),
    ],
)
async def test_a_filter_that_is_none_is_refused_where_it_comes_in(
    support: Support, wrong: dict[str, Any], says: str
) -> None:
    refused = (await support.release(wrong, 400))["error"]
    assert (refused["code"], refused["param"]) == ("invalid_filter", "retrieval.filters")
    assert says in refused["message"]
    number = (await support.release())["release"]
    refused = await support.ask(number, {"filters": wrong}, 400)
    assert (refused["code"], refused["param"]) == ("invalid_filter", "braid.filters")
    search = await support.manager.post(
        f"/v1/vector_stores/{support.store}/search", json={"query": "x", "filters": wrong}
    )
    assert (search.status_code, search.json()["error"]["param"]) == (400, "filters")


async def test_a_key_that_may_only_chat_narrows_and_switches_nothing(support: Support) -> None:
    number = (await support.release())["release"]
    refused = await support.ask(number, {"filters": AREA, "retrieval": False}, 403)
    assert refused["code"] == "insufficient_scope"
    assert await support.ask(number, {"filters": AREA}) == AREA
    assert await support.ask(number, {}) is None
