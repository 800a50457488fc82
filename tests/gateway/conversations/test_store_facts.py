"""Facts of rows looked up in a store, over HTTP and by the commands, on the worker's own ingest."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.terminal import Exit
from tests.fakes.retriever import FakeRetriever
from tests.gateway.cli.commands import run
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import working

__all__ = ["index", "settings"]

WIDE = "utf-16"
"""No UTF-8, so that an earlier version has to be parsed, as one in PDF has."""

DOCUMENTS = {
    "warranty.md": ("The warranty of the kettle is 24 months.", "The warranty of the kettle is 36 months."),
    "price.html": ("<p>The kettle costs <b>£40</b>.</p>", "<p>The kettle costs <b>£49</b>.</p>"),
    "hours.md": ("The shop opens at 9 am.",),
    "power.txt": ("The kettle takes 2200 watts.", "The kettle takes 2400 watts."),
}
REPLIES = {
    "How long is the warranty of the kettle?": ("Aye, 24 months.", {"24 months": "changed"}),
    "Is the warranty of the kettle long?": ("36 months it is.", {"36 months": "index"}),
    "What does the kettle cost?": ("The kettle costs £40, friend.", {"£40": "changed"}),
    "When opens the shop?": ("It opens at 09:00.", {"09:00": "index"}),
    "Which power has the kettle?": ("The kettle takes 2200 W.", {"2200 W": "changed"}),
    "How heavy is the kettle?": ("It weighs 2.5 kg.", {"2.5 kg": "nowhere"}),
}


@pytest.fixture
async def address(gateway: Gateway, index: FakeRetriever, tmp_path: Path) -> AsyncIterator[list[str]]:
    """A store `shop` with two versions of most documents, and rows about it in `rows.jsonl`."""
    rows = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]}
        for question, (reply, _) in REPLIES.items()
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "shop").mkdir()
    async with working(gateway.state.settings):
        address = ["--url", gateway.url, "--key", ADMIN_KEY]
        for version in (0, 1):
            for name, texts in DOCUMENTS.items():
                encoding = WIDE if name.endswith(".txt") else "utf-8"
                (tmp_path / "shop" / name).write_text(texts[min(version, len(texts) - 1)], encoding)
            added = await run("docs", "add", "shop", str(tmp_path / "shop"), *address)
            assert added.exit_code == Exit.OK, added.stderr
        yield address


async def test_facts_are_told_by_row_and_rows_get_their_passages(address: list[str], tmp_path: Path) -> None:
    command = ["--store", "shop", *address]
    done = await run("styles", "check", str(tmp_path / "rows.jsonl"), "--json", *command)
    assert done.exit_code == Exit.FAILED, done.stderr  # a changed fact is an error
    report = json.loads(done.stdout)
    expected = {number: facts for number, (_, facts) in enumerate(REPLIES.values(), 1)}
    places: dict[int, dict[str, str]] = {number: {} for number in expected}
    for fact in report["facts"]:
        places[fact["row"]][fact["text"]] = fact["place"]
    assert places == expected
    by_check = {finding["check"]: finding["rows"] for finding in report["findings"]}
    assert by_check == {"facts_changed": [1, 3, 5], "facts_index": [2, 4], "facts_nowhere": [6]}
    changed = next(fact for fact in report["facts"] if fact["text"] == "£40")
    assert (changed["key"], changed["version"], changed["stated"]) == ("price.html", 2, 1)

    out = tmp_path / "out.jsonl"
    done = await run("styles", "rewrite", str(tmp_path / "rows.jsonl"), "-o", str(out), *command)
    assert done.exit_code == Exit.OK, done.stderr
    rows: list[dict[str, Any]] = [json.loads(line) for line in out.read_text().splitlines()]
    texts = [[one["text"] for one in row.get("braid", {}).get("passages", [])] for row in rows]
    assert texts == [[], [DOCUMENTS["warranty.md"][1]], [], [DOCUMENTS["hours.md"][0]], [], []]
    done = await run("styles", "check", str(out), "--json", *command)
    assert [fact["row"] for fact in json.loads(done.stdout)["facts"] if fact["place"] == "evidence"] == [2, 4]


async def until_true(ask: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds(await ask()):  # noqa: ASYNC110 - what is asked is another process's
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("index")
async def test_what_a_removed_file_said_has_changed_until_the_file_is_deleted(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "shop"})).json()["id"]
    turns = [
        {"role": "user", "content": "Which code has the kettle?"},
        {"role": "assistant", "content": "The code of the kettle is SAVE77."},
    ]
    body = {"vector_stores": [store], "rows": [{"messages": turns}]}

    async def look() -> tuple[dict[str, Any], int]:
        answer = await client.post("/api/styles/facts", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"][0], answer.json()["unread_documents"]

    async with working(gateway.state.settings):
        upload = {"file": ("codes.md", b"The code of the kettle is SAVE77.")}
        file = (await client.post("/v1/files", files=upload, data={"purpose": "assistants"})).json()["id"]
        await client.put(f"/api/vector_stores/{store}/documents/lamp.md", content="A lamp.", params={"wait": 30})
        await client.post(f"/v1/vector_stores/{store}/files", json={"file_id": file})
        path = f"/v1/vector_stores/{store}/files/{file}"
        await until_true(lambda: client.get(path), lambda answer: answer.json()["status"] == "completed")
        assert (await look())[0]["place"] == "index"
        began = int(time.time())
        assert (await client.delete(f"/v1/vector_stores/{store}/files/{file}")).status_code == 200
        fact, unread = await look()
        assert (fact["place"], fact["document_key"], fact["title"]) == ("changed", file, "codes.md")
        assert (fact["version"], fact["stated_version"], fact["passage"], unread) == (None, 1, None, 0)
        assert fact["deleted_at"] >= began
        await client.delete(f"/v1/files/{file}")
        await client.delete(f"/api/vector_stores/{store}/documents/lamp.md")
        await until_true(look, lambda seen: seen[1] == 2)
        assert (await look())[0]["place"] == "nowhere"


async def test_a_store_that_is_not_there_is_told(gateway: Gateway, tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "It is 24 months."}]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    address = ["--url", gateway.url, "--key", ADMIN_KEY]
    done = await run("styles", "check", str(tmp_path / "rows.jsonl"), "--store", "nowhere", *address)
    assert done.exit_code == Exit.NOT_FOUND
    client = await gateway.tenant("kestrel")
    answer = await client.post("/api/styles/facts", json={"vector_stores": ["vs_no"], "rows": [row]})
    assert answer.status_code == 404
