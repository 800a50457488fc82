import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text, update

from gateway.administration.service import ensure_admin
from gateway.errors import BadRequest
from gateway.settings import Settings
from gateway.tenants.authenticator import digest_key, new_key
from gateway.tenants.tables import KeyRow
from tests.gateway.conftest import Gateway, on_both_databases


@on_both_databases
async def test_a_key_is_shown_once_and_kept_as_its_digest(gateway: Gateway) -> None:
    await gateway.admin.post("/api/tenants", json={"name": "kestrel"})
    made = (await gateway.admin.post("/api/keys", json={"tenant": "kestrel", "name": "app", "scopes": ["chat"]})).json()
    listed = (await gateway.admin.get("/api/keys", params={"tenant": "kestrel"})).json()["data"]
    assert made["key"].startswith("sk-braid-")
    assert [key["id"] for key in listed] == [made["id"]]
    assert made["key"] not in str(listed)
    async with gateway.state.database.read() as session:
        stored = (await session.execute(text("SELECT * FROM keys"))).all()
    assert made["key"] not in str(stored)
    assert digest_key(made["key"]) in str(stored)


@on_both_databases
async def test_two_tenants_of_one_name_are_refused(gateway: Gateway) -> None:
    assert (await gateway.admin.post("/api/tenants", json={"name": "kestrel"})).status_code == 201
    assert (await gateway.admin.post("/api/tenants", json={"name": "kestrel"})).status_code == 409


@pytest.mark.parametrize("name", ["", "Kestrel", "a b", "../x", "x" * 64, None])
async def test_a_tenant_name_is_checked(gateway: Gateway, name: str | None) -> None:
    answer = await gateway.admin.post("/api/tenants", json={"name": name})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "name"


async def test_scopes_are_kept_apart(gateway: Gateway) -> None:
    chat, manage = await gateway.tenant("kestrel", ("chat",)), await gateway.tenant("kestrel")
    assert (await chat.get("/api/keys")).status_code == 403
    assert (await manage.get("/api/tenants")).status_code == 403
    assert (await manage.get("/api/keys")).status_code == 200


async def test_a_manage_key_gives_away_no_more_than_it_has(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel", ("manage",))
    made = await client.post("/api/keys", json={"name": "x", "scopes": ["admin"]})
    assert made.status_code == 403


async def test_a_manage_key_sees_no_other_tenant(gateway: Gateway) -> None:
    kestrel = await gateway.tenant("kestrel")
    await gateway.tenant("harbor")
    made = await kestrel.post("/api/keys", json={"tenant": "harbor", "name": "x", "scopes": ["chat"]})
    assert made.status_code == 404
    harbor = (await gateway.admin.get("/api/keys", params={"tenant": "harbor"})).json()["data"][0]["id"]
    assert (await kestrel.delete(f"/api/keys/{harbor}")).status_code == 404
    assert (await kestrel.get("/api/keys", params={"tenant": "harbor"})).status_code == 404


async def test_revoking_is_seen_by_this_process_at_once(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    key = (await client.get("/api/keys")).json()["data"][0]["id"]
    assert (await client.delete(f"/api/keys/{key}")).status_code == 200
    assert (await client.get("/api/keys")).status_code == 401


async def test_an_unknown_key_is_not_remembered(gateway: Gateway) -> None:
    key = new_key()
    async with gateway.client(key) as stranger:
        assert (await stranger.get("/api/keys")).status_code == 401
        async with gateway.state.database.begin() as session:
            await ensure_admin(session, key)
        assert (await stranger.get("/api/keys")).status_code == 200


async def test_a_key_given_later_takes_the_place_of_the_one_before(gateway: Gateway) -> None:
    first, second = new_key(), new_key()
    async with gateway.client(first) as old, gateway.client(second) as new:
        async with gateway.state.database.begin() as session:
            await ensure_admin(session, first)
            await ensure_admin(session, first)
            await session.execute(update(KeyRow).values(hint=f"…{first[-4:]}"))  # as earlier versions kept it
        async with gateway.state.database.begin() as session:
            await ensure_admin(session, second)
        assert (await old.get("/api/keys")).status_code == 401
        keys = (await new.get("/api/keys", params={"tenant": "default"})).json()["data"]
    assert {key["hint"] for key in keys if key["name"] == "admin (given)"} == {"…"}
    given = [key for key in keys if key["name"] == "admin (given)" and not key["revoked_at"]]
    assert [key["hint"] for key in given] == ["…"]
    async with gateway.state.database.begin() as session:
        with pytest.raises(BadRequest, match="revoked"):
            await ensure_admin(session, first)


@pytest.mark.parametrize("key", ["", "short", "k" * 31])
async def test_a_given_key_that_could_be_guessed_is_refused(gateway: Gateway, key: str) -> None:
    async with gateway.state.database.begin() as session:
        with pytest.raises(BadRequest, match="32 characters"):
            await ensure_admin(session, key)


def test_a_new_key_is_like_no_other() -> None:
    assert len({new_key() for _ in range(100)}) == 100
    assert len(new_key()) >= len("sk-braid-") + 43  # 256 bits in base64


async def test_unknown_paths_and_methods_keep_the_envelope(gateway: Gateway) -> None:
    for answer in (await gateway.admin.get("/v1/nowhere"), await gateway.admin.delete("/v1/models")):
        assert answer.status_code in (404, 405)
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_home_is_only_written_where_it_was_said(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "x")
    assert settings.database.endswith("/x/braid.db")
    assert not (tmp_path / "x").exists()


async def test_tenants_and_keys_come_in_pages(gateway: Gateway) -> None:
    for name in ("one", "two", "three"):
        await gateway.tenant(name)
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = (await gateway.admin.get("/api/tenants", params={"limit": 2, **after})).json()
        assert len(page["data"]) <= 2
        seen += [tenant["name"] for tenant in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["last_id"]}
    assert seen == ["default", "one", "two", "three"]
    assert (await gateway.admin.get("/api/tenants", params={"after": "nobody"})).status_code == 400
    client = await gateway.tenant("one")
    keys = (await client.get("/api/keys", params={"limit": 1})).json()
    rest = (await client.get("/api/keys", params={"limit": 1, "after": keys["last_id"]})).json()
    assert (keys["has_more"], rest["has_more"]) == (True, False)
    assert keys["data"][0]["id"] != rest["data"][0]["id"]


async def test_tenants_and_keys_are_listed_while_somebody_writes(gateway: Gateway) -> None:
    await gateway.admin.post("/api/tenants", json={"name": "kestrel"})
    async with gateway.state.database.begin() as session:
        await session.execute(update(KeyRow).values(name="renamed"))
        async with asyncio.timeout(3):
            tenants = await gateway.admin.get("/api/tenants")
            keys = await gateway.admin.get("/api/keys")
    assert "kestrel" in [tenant["name"] for tenant in tenants.json()["data"]]
    assert "renamed" not in [key["name"] for key in keys.json()["data"]]
