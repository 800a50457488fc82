"""Keys to principals: headers, scopes, the cache, and revocation."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Database
from gateway.errors import Denied, Unauthorized
from gateway.tenants.authenticator import Authenticator, Principal, Scope, digest_key, new_key
from gateway.tenants.repository import find_key
from tests.gateway.conftest import ADMIN_KEY, Gateway

HEADER = f"Bearer {ADMIN_KEY}"


@pytest.fixture
def database(gateway: Gateway) -> Database:
    return gateway.state.database


async def revoke(database: Database, key: str) -> None:
    """Revoke a key as another process does: in the database only."""
    async with database.begin() as session:
        statement = text("UPDATE keys SET revoked_at = 1 WHERE digest = :digest")
        await session.execute(statement, {"digest": digest_key(key)})


@pytest.mark.parametrize("header", [HEADER, f"bearer {ADMIN_KEY}", f"BEARER   {ADMIN_KEY}  ", f"Bearer\t{ADMIN_KEY}"])
async def test_the_scheme_is_read_as_http_has_it(database: Database, header: str) -> None:
    principal = await Authenticator(database).authenticate(header, Scope.CHAT)
    assert (principal.tenant_name, principal.scopes) == ("default", {"chat", "manage", "admin"})


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_api_key"),
        ("", "missing_api_key"),
        (ADMIN_KEY, "invalid_api_key"),
        ("Bearer", "invalid_api_key"),
        ("Bearer ", "invalid_api_key"),
        (f"Basic {ADMIN_KEY}", "invalid_api_key"),
        (f"Bearer {ADMIN_KEY}x", "invalid_api_key"),
        (f"Bearer {ADMIN_KEY[:-1]}", "invalid_api_key"),
        (f"Bearer {ADMIN_KEY.upper()}", "invalid_api_key"),
        ("Bearer ' OR 1=1 --", "invalid_api_key"),
    ],
)
async def test_anything_else_is_refused_without_repeating_it(database: Database, header: str | None, code: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        await Authenticator(database).authenticate(header, Scope.CHAT)
    assert caught.value.code == code
    assert ADMIN_KEY not in caught.value.message


@pytest.mark.parametrize("scopes", [["chat"], ["manage"], ["chat", "manage"], ["admin"]], ids="+".join)
@pytest.mark.parametrize("scope", list(Scope))
async def test_a_key_does_what_it_has_a_scope_for_and_nothing_else(
    gateway: Gateway, scopes: list[str], scope: Scope
) -> None:
    await gateway.admin.post("/api/tenants", json={"name": "kestrel"})
    body = {"tenant": "kestrel", "name": "x", "scopes": scopes}
    key = (await gateway.admin.post("/api/keys", json=body)).json()["key"]
    authenticator = Authenticator(gateway.state.database)
    if scope.value in scopes:
        assert (await authenticator.authenticate(f"Bearer {key}", scope)).may(scope)
    else:
        with pytest.raises(Denied) as caught:
            await authenticator.authenticate(f"Bearer {key}", scope)
        assert repr(scope.value) in caught.value.message


async def test_a_known_key_is_looked_up_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = Authenticator(database)
    first = await authenticator.authenticate(HEADER, Scope.CHAT)
    monkeypatch.setattr("gateway.tenants.authenticator.find_key", None)
    assert await authenticator.authenticate(HEADER, Scope.ADMIN) is first


async def test_another_processs_revocation_is_seen_when_the_trust_ends(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = Authenticator(database)
    await authenticator.authenticate(HEADER, Scope.CHAT)
    await revoke(database, ADMIN_KEY)
    await authenticator.authenticate(HEADER, Scope.CHAT)
    later = time.monotonic() + 31
    # The module's own clock only: the event loop's timers run by the other.
    monkeypatch.setattr("gateway.tenants.authenticator.time", SimpleNamespace(monotonic=lambda: later))
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(HEADER, Scope.CHAT)


async def test_an_evicted_key_is_looked_up_again_at_once(database: Database) -> None:
    authenticator = Authenticator(database)
    await authenticator.authenticate(HEADER, Scope.CHAT)
    await revoke(database, ADMIN_KEY)
    authenticator.evict(digest_key(ADMIN_KEY))
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(HEADER, Scope.CHAT)


async def test_evicting_an_unknown_key_is_fine(database: Database) -> None:
    Authenticator(database).evict("0" * 64)


async def test_a_full_cache_starts_anew_and_answers_go_on(
    database: Database, monkeypatch: pytest.MonkeyPatch, gateway: Gateway
) -> None:
    monkeypatch.setattr("gateway.tenants.authenticator._CACHED_KEYS", 2)
    authenticator = Authenticator(database)
    await gateway.admin.post("/api/tenants", json={"name": "kestrel"})
    principals: list[Principal] = []
    for number in range(5):
        body = {"tenant": "kestrel", "name": str(number), "scopes": ["chat"]}
        key = (await gateway.admin.post("/api/keys", json=body)).json()["key"]
        principals.append(await authenticator.authenticate(f"Bearer {key}", Scope.CHAT))
    assert len({principal.key for principal in principals}) == 5


def test_keys_are_long_and_never_twice_the_same() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) >= 9 + 43 for key in keys)


async def test_a_look_up_that_a_revocation_overtakes_is_not_remembered(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = Authenticator(database)

    async def overtaken(session: AsyncSession, digest: str) -> Any:
        match = await find_key(session, digest)
        await revoke(database, ADMIN_KEY)
        authenticator.evict(digest_key(ADMIN_KEY))
        return match

    with monkeypatch.context() as patch:
        patch.setattr("gateway.tenants.authenticator.find_key", overtaken)
        await authenticator.authenticate(HEADER, Scope.CHAT)
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(HEADER, Scope.CHAT)


async def test_a_wrong_key_is_looked_up_once_per_second_and_evicts_no_right_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []

    async def count(session: AsyncSession, digest: str) -> Any:
        looked_up.append(digest)
        return await find_key(session, digest)

    monkeypatch.setattr("gateway.tenants.authenticator.find_key", count)
    monkeypatch.setattr("gateway.tenants.authenticator._CACHED_KEYS", 3)
    authenticator, wrong = Authenticator(database), [f"Bearer {new_key()}" for _ in range(5)]
    await authenticator.authenticate(HEADER, Scope.CHAT)
    for header in (wrong[0], wrong[0], wrong[0], *wrong):
        with pytest.raises(Unauthorized):
            await authenticator.authenticate(header, Scope.CHAT)
    await authenticator.authenticate(HEADER, Scope.CHAT)
    assert len(looked_up) == 1 + 5
    assert len(authenticator._unknown) == 3


async def test_a_key_that_was_refused_is_known_once_it_is_made(database: Database) -> None:
    authenticator, key = Authenticator(database), new_key()
    with pytest.raises(Unauthorized):
        await authenticator.authenticate(f"Bearer {key}", Scope.CHAT)
    async with database.begin() as session:
        statement = text("UPDATE keys SET digest = :digest")
        await session.execute(statement, {"digest": digest_key(key)})
    assert await authenticator.authenticate(f"Bearer {key}", Scope.CHAT)
