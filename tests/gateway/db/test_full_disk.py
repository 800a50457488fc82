"""What a client reads while the disk of the database is full: what is the matter, and not that it may try at once."""

from sqlite3 import SQLITE_BUSY, SQLITE_FULL, SQLITE_IOERR_READ, SQLITE_IOERR_WRITE, SQLITE_READONLY_DIRECTORY
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from gateway.db import is_disk_full
from tests.gateway.conftest import POSTGRESQL, Gateway
from tests.gateway.full_disk import full

ASK = {"model": "base", "messages": [{"role": "user", "content": "Hi"}]}
PROMPT = {"name": "house", "template": "{% block system %}Be brief." + "x" * 15_000 + "{% endblock %}"}


async def test_a_full_disk_is_told_to_who_writes_and_answers_go_on(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")
    with full(gateway.state.database):
        refused = await client.post("/api/prompts", json=PROMPT)
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "disk_full")
        assert "disk of the server's database takes nothing more" in refused.json()["error"]["message"]
        answer = await client.post("/v1/chat/completions", json=ASK | {"metadata": {"note": "x" * 500}})
        assert answer.status_code == 200
    assert (await client.post("/api/prompts", json=PROMPT)).status_code == 201


async def test_a_database_that_has_become_read_only_is_told_like_a_full_one(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")

    def forbid(connection: Any, _record: object, _proxy: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    event.listen(gateway.state.database.engine.sync_engine, "checkout", forbid)
    refused = await client.post("/api/prompts", json=PROMPT)
    assert (refused.status_code, refused.json()["error"]["code"]) == (507, "disk_full")
    assert "read-only" in refused.json()["error"]["message"]
    assert (await client.post("/v1/chat/completions", json=ASK)).status_code == 200


@pytest.mark.parametrize(
    ("members", "is_full"),
    [
        ({"sqlite_errorcode": SQLITE_FULL}, True),
        ({"sqlite_errorcode": SQLITE_IOERR_WRITE}, True),  # a quota
        ({"sqlite_errorcode": SQLITE_IOERR_READ}, False),
        ({"sqlite_errorcode": SQLITE_BUSY}, False),
        ({"sqlite_errorcode": SQLITE_READONLY_DIRECTORY}, True),
        ({"sqlstate": "53100"}, True),
        ({"sqlstate": "25006"}, True),  # a server that has become another one's copy
        ({"sqlstate": "53300"}, False),
        ({}, False),
    ],
)
def test_a_full_disk_is_known_by_the_code_of_either_database(members: dict[str, Any], is_full: bool) -> None:
    cause = Exception("no")
    for name, value in members.items():
        setattr(cause, name, value)
    assert is_disk_full(OperationalError("INSERT", None, cause)) is is_full
    assert not is_disk_full(ValueError("no"))


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
async def test_a_server_that_has_become_read_only_is_told_like_a_full_disk(gateway: Gateway) -> None:
    client = await gateway.tenant("kestrel")

    def forbid(connection: Any, _record: object, _proxy: object) -> None:
        connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        connection.commit()

    event.listen(gateway.state.database.engine.sync_engine, "checkout", forbid)
    refused = await client.post("/api/prompts", json=PROMPT)
    assert (refused.status_code, refused.json()["error"]["code"]) == (507, "disk_full")
