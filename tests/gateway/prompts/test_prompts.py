"""Prompt versions over HTTP."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import event

import prompts
from tests.gateway.conftest import Gateway, on_both_databases


@pytest.fixture
async def client(gateway: Gateway) -> httpx2.AsyncClient:
    return await gateway.tenant("kestrel")


async def create(client: httpx2.AsyncClient, template: str, name: str = "house") -> dict[str, Any]:
    answer = await client.post("/api/prompts", json={"name": name, "template": template})
    assert answer.status_code == 201, answer.text
    return answer.json()


@on_both_databases
async def test_each_template_is_a_new_version_with_its_own_digest(client: httpx2.AsyncClient) -> None:
    first, second = await create(client, "One."), await create(client, "Two.")
    assert (first["version"], second["version"]) == (1, 2)
    assert first["digest"] != second["digest"]
    assert first["digest"] == prompts.compile("One.").digest


async def test_a_bare_name_is_the_newest_version_and_a_number_stays_what_it_was(client: httpx2.AsyncClient) -> None:
    for template in ("One.", "Two."):
        await create(client, template)
    assert (await client.get("/api/prompts/house")).json()["template"] == "Two."
    assert (await client.get("/api/prompts/house@1")).json()["template"] == "One."
    await create(client, "Three.")
    assert (await client.get("/api/prompts/house@1")).json()["template"] == "One."
    versions = (await client.get("/api/prompts/house/versions")).json()["data"]
    assert [version["version"] for version in versions] == [1, 2, 3]


async def test_names_count_their_versions_apart(client: httpx2.AsyncClient, gateway: Gateway) -> None:
    await create(client, "One.")
    assert (await create(client, "One.", "other"))["version"] == 1
    harbor = await gateway.tenant("harbor")
    assert (await create(harbor, "Theirs."))["version"] == 1
    assert len((await client.get("/api/prompts")).json()["data"]) == 2


@pytest.mark.parametrize("reference", ["house@0", "house@2", "house@x", "house@-1", "house@1@1", "nobody", "nobody@1"])
async def test_a_version_that_is_not_there_is_404(client: httpx2.AsyncClient, reference: str) -> None:
    await create(client, "One.")
    answer = await client.get(f"/api/prompts/{reference}")
    assert answer.status_code == 404, answer.text
    assert reference in answer.json()["error"]["message"]


async def test_versions_of_an_unknown_name_are_404(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/api/prompts/nobody/versions")).status_code == 404


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("Fine.\n{% block system %}never ended", "line 2"),
        ("{{ question.__class__ }}", "line 1"),
        ("One.\n\n{% include 'x' %}", "line 3"),
    ],
)
async def test_a_template_that_does_not_compile_names_its_line_and_takes_no_number(
    client: httpx2.AsyncClient, template: str, says: str
) -> None:
    answer = await client.post("/api/prompts", json={"name": "house", "template": template})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "invalid_template"
    assert says in answer.json()["error"]["message"]
    assert (await create(client, "One."))["version"] == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "house", "template": ""}, "template"),
        ({"name": "house", "template": "x" * 100_001}, "template"),
        ({"name": "house"}, "template"),
        ({"name": "a@1", "template": "x"}, "name"),
        ({"name": "", "template": "x"}, "name"),
        ({"name": "x" * 64, "template": "x"}, "name"),
    ],
    ids=["empty", "long", "none", "at", "no name", "long name"],
)
async def test_a_bad_body_names_its_field(client: httpx2.AsyncClient, body: dict[str, str], param: str) -> None:
    answer = await client.post("/api/prompts", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_lists_come_in_pages_and_read_no_template(client: httpx2.AsyncClient, gateway: Gateway) -> None:
    for template in ("One.", "Two.", "Three."):
        await create(client, template)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    engine = gateway.state.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        first = (await client.get("/api/prompts", params={"limit": 2})).json()
        rest = (await client.get("/api/prompts", params={"limit": 2, "after": first["last_id"]})).json()
        versions = (await client.get("/api/prompts/house/versions", params={"limit": 1})).json()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert ([item["version"] for item in first["data"]], first["has_more"]) == ([1, 2], True)
    assert ([item["version"] for item in rest["data"]], rest["has_more"]) == ([3], False)
    assert ([item["version"] for item in versions["data"]], versions["has_more"]) == ([1], True)
    assert [one for one in statements if "FROM prompts" in one]
    assert not [one for one in statements if "prompts.template" in one]


async def test_a_template_may_have_as_many_characters_as_the_compiler_takes(client: httpx2.AsyncClient) -> None:
    await create(client, "x" * prompts.MAX_SOURCE)
    longer = {"name": "house", "template": "x" * (prompts.MAX_SOURCE + 1)}
    answer = await client.post("/api/prompts", json=longer)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "template")
