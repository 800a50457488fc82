"""Two tenants with the same words: `python -m tests.bench.tenants [--queries 10000] [--examples 50]`.

Both have stores and documents of the same keys and nearly the same texts in one index; what tells them apart is a mark
in each text, and the ids. `TenantsMachine` does what tenants do in any order and compares each answer with what that
tenant wrote; `fuzz` asks thousands of made-up questions. An id or a mark of the other tenant may be nowhere in an
answer, nor in the prompt that the engine gets.
"""

import argparse
import asyncio
import itertools
import random
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.bench.stack import Stack, open_stack
from tests.fakes.vllm import Chat

__all__ = ["House", "TenantsMachine", "fuzz", "open_houses", "run_machine", "run_stack"]

_KEYS = ("a.md", "b.md", "c/d.md")
_WORDS = "kettle warranty months price euros return lid base steel filter".split()
_WAIT_SECONDS = 100
_numbers = itertools.count()


class House:
    """A tenant with one store and an assistant; `documents` has the text of each key that is live."""

    def __init__(self, http: httpx2.Client, name: str) -> None:
        self.name = name
        self.mark = f"mark{name}"
        self.documents: dict[str, str] = {}
        self.ids: set[str] = set()
        """Whatever names something of this tenant's: of another one's answers none may have it."""
        self._http = http
        self.store = self.call("POST", "/v1/vector_stores", json={"name": "docs"})["id"]
        self.ids |= {self.store, self.mark}
        self.call("POST", "/api/prompts", json={"name": "house", "template": "Answer from the passages."})
        self.call("POST", "/api/assistants", json={"name": "support"})
        retrieval = {"vector_stores": [self.store], "mode": "required", "top_k": 8}
        release = {"prompt": "house@1", "retrieval": retrieval}
        self.call("POST", "/api/assistants/support/releases", json=release)
        rollout = {"stages": [{"release": 1, "weight": 100}], "revision": 0}
        self.call("PUT", "/api/assistants/support/rollout", json=rollout)

    def send(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return self._http.request(method, path, **more)

    def call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        response = self.send(method, path, **more)
        assert response.status_code < 300, response.text
        return response.json()

    def put(self, key: str, words: str) -> None:
        """Write a document, and return when it answers."""
        text = f"# The {words}\n\nThis is {self.mark}: {words}."
        path = f"/api/vector_stores/{self.store}/documents/{key}"
        state = self.call("PUT", path, content=text.encode(), params={"wait": _WAIT_SECONDS})
        assert state["status"] == "completed", state
        self.documents[key] = text
        self.ids |= {state["document_id"], state["file_id"]}

    def delete(self, key: str) -> None:
        self.call("DELETE", f"/api/vector_stores/{self.store}/documents/{key}")
        del self.documents[key]

    def check_search(self, query: dict[str, Any], other: "House") -> int:
        """Search; return the number of hits, all of which must be of live documents of this tenant's."""
        response = self.send("POST", f"/v1/vector_stores/{self.store}/search", json=query)
        other.assert_absent(response.text)
        if response.status_code != 200:
            assert response.status_code == 400, response.text
            return 0
        hits = response.json()["data"]
        texts = [hit["content"][0]["text"] for hit in hits]
        assert set(texts) <= set(self.documents.values()), texts
        assert len(set(texts)) == len(texts), "a passage is there twice"
        return len(hits)

    def check_chat(self, question: str, other: "House") -> None:
        """Ask the assistant, whose engine repeats its whole prompt and cites every passage."""
        body = {"model": "support", "messages": [{"role": "user", "content": question}]}
        response = self.send("POST", "/v1/chat/completions", json=body)
        assert response.status_code == 200, response.text
        other.assert_absent(response.text)
        assert response.text.count("file_id") == 0 or any(id in response.text for id in self.ids), response.text

    def check_counts(self, other: "House") -> None:
        store = self.send("GET", f"/v1/vector_stores/{self.store}")
        documents = self.send("GET", f"/api/vector_stores/{self.store}/documents")
        stores = self.send("GET", "/v1/vector_stores")
        files = self.send("GET", f"/v1/vector_stores/{self.store}/files")
        for response in (store, documents, stores, files):
            assert response.status_code == 200, response.text
            other.assert_absent(response.text)
        counts = store.json()["file_counts"]
        assert (counts["total"], counts["completed"]) == (len(self.documents), len(self.documents))
        assert store.json()["usage_bytes"] == sum(len(text.encode()) for text in self.documents.values())
        assert {row["key"] for row in documents.json()["data"]} == set(self.documents)
        assert [row["id"] for row in stores.json()["data"]] == [self.store]
        assert len(files.json()["data"]) == len(self.documents)

    def check_refused(self, other: "House", key: str) -> None:
        """Use the other's ids: to this tenant they don't exist."""
        paths = [
            ("GET", f"/v1/vector_stores/{other.store}", None),
            ("POST", f"/v1/vector_stores/{other.store}/search", {"query": "kettle"}),
            ("GET", f"/api/vector_stores/{other.store}/documents/{key}", None),
            ("DELETE", f"/api/vector_stores/{other.store}/documents/{key}", None),
            ("POST", "/api/assistants/support/releases", {"retrieval": {"vector_stores": [other.store]}}),
            *(("GET", f"/v1/files/{id}", None) for id in other.ids if id.startswith("file-")),
        ]
        for method, path, body in paths:
            response = self.send(method, path, json=body)
            assert response.status_code == 404, f"{method} {path}: {response.text}"

    def assert_absent(self, text: str) -> None:
        leaked = [id for id in self.ids if id in text]
        assert not leaked, f"{leaked} of {self.name} in {text}"


def repeat_prompt(chat: Chat) -> str:
    """Answer with all that the engine was shown, and cite every passage."""
    return f"{chat.prompt} That is in [1], [2], [3], [4], [5], [6], [7] and [8]."


class TenantsMachine(RuleBasedStateMachine):
    """What two tenants do, in any order."""

    def __init__(self, stack: "SyncStack") -> None:
        super().__init__()
        self._stack = stack
        self._houses: tuple[House, ...] = ()

    @initialize()
    def open(self) -> None:
        self._houses = open_houses(self._stack)

    @rule(who=st.integers(0, 1), key=st.sampled_from(_KEYS), words=st.lists(st.sampled_from(_WORDS), min_size=1))
    def put(self, who: int, key: str, words: list[str]) -> None:
        self._houses[who].put(key, " ".join(words))

    @rule(who=st.integers(0, 1), data=st.data())
    def delete(self, who: int, data: st.DataObject) -> None:
        house = self._houses[who]
        if house.documents:
            house.delete(data.draw(st.sampled_from(sorted(house.documents))))

    @rule(
        who=st.integers(0, 1),
        words=st.lists(st.sampled_from(_WORDS), min_size=1, max_size=5),
        limit=st.integers(1, 50),
    )
    def search(self, who: int, words: list[str], limit: int) -> None:
        house, other = self._houses[who], self._houses[1 - who]
        found = house.check_search({"query": " ".join(words), "max_num_results": limit}, other)
        assert found == min(len(house.documents), limit)

    @rule(who=st.integers(0, 1), words=st.lists(st.sampled_from(_WORDS), min_size=1, max_size=5))
    def search_for_the_others_mark(self, who: int, words: list[str]) -> None:
        house, other = self._houses[who], self._houses[1 - who]
        query = {"query": [" ".join(words), "This is mark"], "max_num_results": 50}
        assert house.check_search(query, other) == len(house.documents)

    @rule(who=st.integers(0, 1), words=st.lists(st.sampled_from(_WORDS), min_size=1, max_size=5))
    def chat(self, who: int, words: list[str]) -> None:
        self._houses[who].check_chat(" ".join(words), self._houses[1 - who])

    @rule(who=st.integers(0, 1))
    def count(self, who: int) -> None:
        self._houses[who].check_counts(self._houses[1 - who])

    @rule(who=st.integers(0, 1), key=st.sampled_from(_KEYS))
    def use_the_others_ids(self, who: int, key: str) -> None:
        self._houses[who].check_refused(self._houses[1 - who], key)

    def teardown(self) -> None:
        for house, other in zip(self._houses, reversed(self._houses), strict=True):
            house.check_counts(other)


class SyncStack:
    """A running Braid for tests that aren't asynchronous: its loop runs in a thread."""

    def __init__(self, stack: Stack, loop: asyncio.AbstractEventLoop) -> None:
        self.stack = stack
        self._loop = loop
        self._clients: list[httpx2.Client] = []

    def tenant(self, name: str) -> House:
        key = asyncio.run_coroutine_threadsafe(self.stack.make_tenant(name), self._loop).result(60)
        limits = httpx2.Limits(max_connections=8)
        headers = {"authorization": f"Bearer {key}"}
        client = httpx2.Client(base_url=self.stack.url, headers=headers, timeout=120, limits=limits)
        self._clients.append(client)
        return House(client, name)

    def close(self) -> None:
        for client in self._clients:
            client.close()


@contextmanager
def run_stack(home: Path) -> Generator[SyncStack]:
    """Run all processes, with the embedder of tests."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(900)

    opened = open_stack(home, "words")
    try:
        stack = run(opened.__aenter__())
        stack.engine.reply = repeat_prompt
        sync = SyncStack(stack, loop)
        try:
            yield sync
        finally:
            sync.close()
            run(opened.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def open_houses(stack: SyncStack) -> tuple[House, House]:
    """Make two tenants that no other test has."""
    number = next(_numbers)
    return stack.tenant(f"kestrel{number}x"), stack.tenant(f"harbor{number}x")


def run_machine(stack: SyncStack, *, examples: int, steps: int) -> None:
    """Run the state machine."""
    run_state_machine_as_test(
        cast("Any", lambda: TenantsMachine(stack)),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=cast("Any", list(HealthCheck)),
            database=None,
        ),
    )


def fuzz(stack: SyncStack, queries: int, seed: int = 0) -> Counter[str]:
    """Ask made-up questions for both tenants, of documents that stay as they are.

    Returns:
        The number of searches, of hits in them, of chats, and of searches that were refused for their filters.
    """
    houses = open_houses(stack)
    source = random.Random(seed)
    for house in houses:
        for number in range(12):
            words = " ".join(source.choices(_WORDS, k=6))
            house.put(f"{number}.md", f"{words} number{number}")
    total: Counter[str] = Counter()

    def ask(number: int) -> Counter[str]:
        return _ask(houses, random.Random(f"{seed} {number}"))

    with ThreadPoolExecutor(4) as pool:
        for counted in pool.map(ask, range(queries)):
            total += counted
    for house, other in zip(houses, reversed(houses), strict=True):
        house.check_counts(other)
    return total


def _ask(houses: tuple[House, House], source: random.Random) -> Counter[str]:
    who = source.randrange(2)
    house, other = houses[who], houses[1 - who]
    text = _draw_text(source, other)
    if source.random() < 0.1:
        house.check_chat(text, _without(other, text))
        return Counter(chats=1)
    query: dict[str, Any] = {"query": text, "max_num_results": source.randint(1, 50)}
    if source.random() < 0.2:
        query["query"] = [_draw_text(source, other) for _ in range(source.randint(1, 8))]
    if source.random() < 0.3:
        query["filters"] = _draw_filter(source, other)
    if source.random() < 0.3:
        weights = {"embedding_weight": source.random(), "text_weight": source.random() + 0.01}
        query["ranking_options"] = {"score_threshold": source.random() / 2, "hybrid_search": weights}
    found = house.check_search(query, _without(other, str(query)))
    return Counter(searches=1, hits=found)


def _without(house: House, text: str) -> House:
    """Return a view of a tenant without the ids that were in the question itself: an answer repeats the question."""
    view = object.__new__(House)
    view.__dict__ = house.__dict__ | {"ids": {id for id in house.ids if id not in text}}
    return view


def _draw_text(source: random.Random, other: House) -> str:
    """Draw a question: words, the other's mark or ids, or any characters."""
    kind = source.random()
    if kind < 0.5:
        return " ".join(source.choices(_WORDS, k=source.randint(1, 12)))
    if kind < 0.7:
        return f"This is {source.choice(sorted(other.ids))}: {source.choice(_WORDS)}"
    if kind < 0.8:
        return source.choice(("* OR 1=1 --", '{"tenant": "*"}', "tenant:*", "*index*", "../", "\x00", "[1]", "%"))
    return "".join(chr(source.choice((source.randint(32, 126), source.randint(160, 0xD7FF)))) for _ in range(30))


def _draw_filter(source: random.Random, other: House, depth: int = 0) -> dict[str, Any]:
    """Draw a filter, often over fields of the index that aren't attributes."""
    if depth < 2 and source.random() < 0.3:
        parts = [_draw_filter(source, other, depth + 1) for _ in range(source.randint(1, 3))]
        return {"type": source.choice(("and", "or")), "filters": parts}
    kind = source.choice(("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"))
    key = source.choice(("tenant", "store", "document", "to", "from", "area", "digest", "attributes.area", "*"))
    value: Any = source.choice((other.store, other.name, "kettles", 0, 2**53, True, *sorted(other.ids)))
    return {"type": kind, "key": key, "value": [value] if kind in ("in", "nin") else value}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tenants")
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--examples", type=int, default=50, help="runs of the state machine")
    parser.add_argument("--steps", type=int, default=30, help="steps of each, at most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, run_stack(Path(home)) as stack:
        total = fuzz(stack, options.queries)
        counted = ", ".join(f"{count} {name}" for name, count in sorted(total.items()))
        sys.stdout.write(f"{options.queries} fuzzed queries ({counted}): nothing of the other tenant in any of them\n")
        run_machine(stack, examples=options.examples, steps=options.steps)
        sys.stdout.write(f"{options.examples} runs of the state machine: every answer was the tenant's own\n")


if __name__ == "__main__":
    main()
