"""Keys: who may give which scopes, what is shown of them, and the administrator's own."""

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import text

from gateway.administration.service import ensure_admin
from gateway.db import Database, open_database
from gateway.tenants.authenticator import Authenticator, Scope
from tests.gateway.conftest import ADMIN_KEY, Gateway, on_both_databases

ALL = {"chat", "manage", "admin"}


async def revoke_all(database: Database) -> None:
    async with database.begin() as session:
        await session.execute(text("UPDATE keys SET revoked_at = 1"))


async def test_a_key_for_the_administrator_is_made_where_there_is_none_that_works(database_url: str) -> None:
    async with open_database(database_url) as database:

        async def ensure() -> str | None:
            async with database.begin() as session:
                return await ensure_admin(session, None)

        assert await ensure() is None, "there is one already"
        await revoke_all(database)
        key = await ensure()
        assert key is not None
        principal = await Authenticator(database).authenticate(f"Bearer {key}", Scope.ADMIN)
        assert (principal.tenant_name, principal.scopes) == ("default", ALL)
        assert await ensure() is None, "it is shown once"
        await revoke_all(database)
        assert await ensure() not in (None, key)


@on_both_databases
async def test_of_processes_that_start_at_the_same_time_one_makes_the_administrator_s_key(database_url: str) -> None:
    async with open_database(database_url) as one, open_database(database_url) as other:
        await revoke_all(one)

        async def ensure(database: Database) -> str | None:
            async with database.begin() as session:
                key = await ensure_admin(session, None)
                await asyncio.sleep(0.02)  # before it is there for others to see
                return key

        made = await asyncio.gather(ensure(one), ensure(other))
    assert sorted(key is None for key in made) == [False, True]


@pytest.mark.parametrize(
    ("own", "given"),
    [
        (["manage"], ["manage"]),
        (["chat", "manage"], ["chat"]),
        (["chat", "manage"], ["manage", "chat"]),
        (["manage", "admin"], ["chat"]),  # an administrator gives what others need
    ],
    ids=str,
)
async def test_a_key_gives_the_scopes_that_it_has_itself(gateway: Gateway, own: list[str], given: list[str]) -> None:
    client = await gateway.tenant("kestrel", tuple(own))
    for scopes in (given, [*given, *given]):
        answer = await client.post("/api/keys", json={"name": "x", "scopes": scopes})
        assert (answer.status_code, answer.json()["scopes"]) == (201, given)


@pytest.mark.parametrize(
    ("given", "missing"), [(["chat"], "chat"), (["manage", "chat", "admin"], "admin, chat")], ids=str
)
async def test_a_key_gives_no_scope_that_it_does_not_have(gateway: Gateway, given: list[str], missing: str) -> None:
    client = await gateway.tenant("kestrel", ("manage",))
    answer = await client.post("/api/keys", json={"name": "x", "scopes": given})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")
    assert f"the scope {missing}, which" in answer.json()["error"]["message"]


async def test_a_list_shows_the_ends_of_a_made_key_and_nothing_of_a_chosen_one(
    gateway: Gateway,
) -> None:
    made = (await gateway.admin.post("/api/keys", json={"name": "app", "scopes": ["chat"]})).json()
    assert made["hint"] == f"sk-braid-…{made['key'][-4:]}"
    listed = (await gateway.admin.get("/api/keys")).json()["data"]
    assert {key["name"]: key["hint"] for key in listed} == {"admin (given)": "…", "app": made["hint"]}
    assert ADMIN_KEY[-4:] not in str(listed)
    assert all("key" not in key and key["tenant"] == "default" for key in listed)


async def test_a_key_keeps_the_time_at_which_it_was_revoked(gateway: Gateway) -> None:
    made = (await gateway.admin.post("/api/keys", json={"name": "app", "scopes": ["chat"]})).json()
    assert made["revoked_at"] is None
    assert abs(made["created_at"] - time.time()) < 60
    path = f"/api/keys/{made['id']}"
    first = (await gateway.admin.delete(path)).json()
    assert abs(first["revoked_at"] - time.time()) < 60
    async with gateway.state.database.begin() as session:
        await session.execute(text("UPDATE keys SET revoked_at = 7 WHERE name = 'app'"))
    assert (await gateway.admin.delete(path)).json()["revoked_at"] == 7


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["chat", "root"]}, "scopes[1]"),
        ({"name": ""}, "name"),
        ({"name": "n" * 101}, "name"),
        ({"tenant": "nobody"}, "tenant"),
    ],
    ids=str,
)
async def test_a_key_that_nobody_could_mean_is_refused(gateway: Gateway, change: dict[str, Any], param: str) -> None:
    body = {"name": "n" * 100, "scopes": ["chat"], **change}
    answer = await gateway.admin.post("/api/keys", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (404 if param == "tenant" else 400, param)
    assert (
        await gateway.admin.post("/api/keys", json=body | {"name": "n" * 100, "scopes": ["chat"], "tenant": None})
    ).is_success


async def test_a_tenant_is_changed_by_its_name_or_its_id_and_only_as_was_said(gateway: Gateway) -> None:
    made = (await gateway.admin.post("/api/tenants", json={"name": "kestrel"})).json()
    assert made["keeps_cited_text"] is False
    for reference, change, kept in (
        ("kestrel", {"keeps_cited_text": True}, True),
        (made["id"], {}, True),
        (made["id"], {"keeps_cited_text": False}, False),
    ):
        answer = await gateway.admin.patch(f"/api/tenants/{reference}", json=change)
        assert answer.json() == made | {"keeps_cited_text": kept}
    assert (await gateway.admin.patch("/api/tenants/nobody", json={})).status_code == 404
    kept = await gateway.admin.post("/api/tenants", json={"name": "heron", "keeps_cited_text": True})
    assert kept.json()["keeps_cited_text"] is True


async def test_a_tenant_s_storage_is_its_own_affair_and_the_administrator_s(gateway: Gateway) -> None:
    kestrel, _ = await gateway.tenant("kestrel"), await gateway.tenant("heron")
    await kestrel.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("a.bin", b"x" * 70)})
    own = (await kestrel.get("/api/storage")).json()
    assert (own["tenant"], own["bytes"], sum(own["kinds"].values())) == ("kestrel", 70, 70)
    assert (await gateway.admin.get("/api/storage", params={"tenant": "kestrel"})).json() == own
    assert (await gateway.admin.get("/api/storage", params={"tenant": "heron"})).json()["bytes"] == 0
    assert (await kestrel.get("/api/storage", params={"tenant": "heron"})).status_code == 404
