import json
from pathlib import Path

import pytest

from gateway.terminal import Exit
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import FakeVllm
from tests.gateway.advice.made_tenants import make_tenant, play
from tests.gateway.cli.commands import run
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import index
from tests.gateway.worker import working

__all__ = ["index", "settings"]


@pytest.mark.usefixtures("index")
async def test_a_folder_and_rows_are_advised_on_and_stale_facts_are_named_when_it_changes(
    gateway: Gateway, engine: FakeVllm, tmp_path: Path
) -> None:
    tenant = make_tenant("facts", 5, rows=60)
    play(engine, tenant)
    folder, data, page = tmp_path / "shop", tmp_path / "chats.jsonl", tmp_path / "advice.html"
    folder.mkdir()
    data.write_bytes(tenant.data())
    address = ["--url", gateway.url, "--key", ADMIN_KEY]
    command = ["advise", "--data", str(data), "--docs", str(folder), "--rows", "24", *address]
    async with working(gateway.state.settings):
        for name, text in tenant.documents().items():
            (folder / name).write_text(text)
        done = await run(*command, "--page", str(page))
        assert done.exit_code == Exit.OK, done.stderr
        lines = {line.split("\t")[0]: line.split("\t") for line in done.stdout.splitlines()}
        assert set(lines) == {
            f"{way}{facts}" for way in ("prompt", "guide", "few-shot") for facts in ("", "+facts")
        } | {
            "base",
            "facts",
        }
        assert "Use your documents" in done.stderr
        assert "don't train them, index them" in done.stderr
        assert "Not tried: adapter: No adapter was named" in done.stderr
        assert "<svg" in page.read_text()

        for name, text in tenant.documents(edited=True).items():
            (folder / name).write_text(text)
        again = await run(*command, "--json")
        assert again.exit_code == Exit.OK, again.stderr
    report = json.loads(again.stdout)
    assert report["arm"] == "facts"
    assert {one["version"] for one in report["changed"]} == {2}
    assert "documents have changed" in again.stderr
    stores = (await gateway.admin.get("/v1/vector_stores")).json()["data"]
    assert [store["name"] for store in stores] == ["advice-shop"]
    assert (await gateway.admin.get("/v1/files", params={"purpose": "user_data"})).json()["data"] == []


async def test_what_cannot_be_advised_on_ends_with_what_to_do(
    gateway: Gateway, tmp_path: Path, index: FakeRetriever
) -> None:
    data = tmp_path / "chats.jsonl"
    data.write_bytes(make_tenant("facts", 5, rows=10).data())
    address = ["--url", gateway.url, "--key", ADMIN_KEY]
    few = await run("advise", "--data", str(data), *address)
    assert few.exit_code == Exit.FAILED
    assert "20 are the fewest" in few.stderr
    lost = await run("advise", "--data", str(data), "--store", "nowhere", *address)
    assert lost.exit_code == Exit.NOT_FOUND
    for option, said in (("voice", "has no value"), ("voice=a", "nothing that has variables")):
        unset = await run("advise", "--data", str(data), "--variable", option, *address)
        assert said in unset.stderr, unset.stderr
    both = await run("advise", "--data", str(data), "--store", "a", "--docs", str(tmp_path), *address)
    assert both.exit_code == Exit.USAGE
    assert index.queries == []
