"""What is said of a release whose adapter has learnt from other words than the release has."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from gateway.adapters.tables import AdapterRow
from gateway.assistants.adapter_fit import check_fit
from gateway.assistants.release import AdapterRef, PromptRef, ReleaseSpec, RetrievalSpec
from gateway.db import Database, open_database
from gateway.errors import Conflict
from gateway.tenants.tables import TenantRow

TENANT, MODEL = "ten_kestrel", "ft:base:kestrel:style:1"
SPEC = ReleaseSpec(
    base_model="base",
    base_digest="sha256:1",
    adapter=AdapterRef(MODEL, "kestrel.style.1", "a"),
    prompt=PromptRef("house", 2, "own-template"),
    builtin_prompt="built-in",
    retrieval=None,
    sampling={},
    variables={"tone": "kind", "days": [1, 2]},
    chat_template="chat-template",
)
LEARNT = {
    "name": "house@2",
    "digest": "own-template",
    "builtin": "built-in",
    "variables": {"tone": "kind", "days": [1, 2]},
}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        async with opened.begin() as session:
            session.add(TenantRow(id=TENANT, name="kestrel", created_at=1))
        yield opened


async def check(
    database: Database, manifest: dict[str, Any], status: str = "ready", **change: Any
) -> list[tuple[str, str]]:
    """The codes and the words of the warnings for a release with an adapter of this manifest."""
    async with database.begin() as session:
        row: dict[str, Any] = {
            "id": "adapter_1", "tenant_id": TENANT, "created_at": 1, "name": "style", "model": MODEL,
            "served_name": "kestrel.style.1", "digest": "d", "base_model": "base", "rank": 4, "source": "file-1",
        }  # fmt: skip
        session.add(AdapterRow(**row, status=status, manifest={"parity": {"rows": 1}, **manifest}))
        await session.flush()
        warnings = await check_fit(session, TENANT, msgspec.structs.replace(SPEC, **change))
    return [(warning.code, warning.message) for warning in warnings]


@pytest.mark.parametrize(
    ("manifest", "change"),
    [
        ({"prompt": LEARNT, "chat_template_digest": "chat-template"}, {}),
        ({"prompt": LEARNT}, {"chat_template": "another"}),  # by an earlier Braid, which didn't note it
        ({"prompt": LEARNT, "chat_template_digest": "chat-template"}, {"chat_template": ""}),
        ({}, {"prompt": None}),  # trained elsewhere: nothing is known
        (
            {"prompt": {**LEARNT, "digest": "", "name": None, "variables": {}}},
            {"prompt": None, "variables": {}, "builtin_prompt": "newer"},  # which neither had any block of
        ),
        (
            {"prompt": {**LEARNT, "digest": "built-in", "name": None, "variables": {}}},
            {"prompt": None, "variables": {}, "retrieval": RetrievalSpec(("vs",))},
        ),
    ],
    ids=range(6),
)
async def test_nothing_is_said_where_nothing_is_known_to_differ(
    database: Database, manifest: dict[str, Any], change: dict[str, Any]
) -> None:
    assert await check(database, manifest, **change) == []


@pytest.mark.parametrize(
    ("learnt", "change", "says"),
    [
        ({"name": "house@1", "digest": "older"}, {}, ["house@1 (older…)", "house@2 (own-template…)"]),
        ({"name": None, "digest": ""}, {}, ["no prompt", "house@2"]),
        ({}, {"prompt": None}, ["house@2 (own-template…)", "has no prompt"]),
        ({}, {"prompt": None, "retrieval": RetrievalSpec(("vs",))}, ["house@2", "the built-in prompt (built-in…)"]),
    ],
    ids=range(4),
)
async def test_another_prompt_is_a_warning_that_names_both(
    database: Database, learnt: dict[str, Any], change: dict[str, Any], says: list[str]
) -> None:
    # Values of another prompt's names can't be compared with these.
    ((code, message),) = await check(database, {"prompt": {**LEARNT, **learnt, "variables": {}}}, **change)
    assert code == "prompt_differs"
    assert all(words in message for words in says), message


async def test_prompts_that_no_engine_was_asked_about_are_a_warning(database: Database) -> None:
    ((code, message),) = await check(database, {"prompt": LEARNT, "parity": None})
    assert code == "prompt_unproven"
    assert "train the adapter again" in message


async def test_built_in_blocks_that_changed_since_are_a_warning(database: Database) -> None:
    ((code, message),) = await check(database, {"prompt": LEARNT}, builtin_prompt="newer")
    assert code == "builtin_prompt_differs"
    assert "has changed since" in message


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"tone": "brisk", "days": [1, 2]}, "tone"),
        ({"tone": "kind"}, "days"),
        ({"tone": "kind", "days": [2, 1], "hours": 8}, "days, hours"),
    ],
)
async def test_other_values_are_a_warning_that_names_what_differs(
    database: Database, variables: dict[str, Any], names: str
) -> None:
    ((code, message),) = await check(database, {"prompt": LEARNT}, variables=variables)
    assert code == "variables_differ"
    assert f"names {names} have" in message


async def test_blocks_and_values_are_warned_of_together(database: Database) -> None:
    warnings = await check(database, {"prompt": LEARNT}, builtin_prompt="newer", variables={})
    assert [code for code, _ in warnings] == ["builtin_prompt_differs", "variables_differ"]


async def test_another_chat_template_is_refused(database: Database) -> None:
    with pytest.raises(Conflict) as caught:
        await check(database, {"prompt": LEARNT, "chat_template_digest": "another-template"})
    assert (caught.value.code, caught.value.param) == ("adapter_of_other_template", "adapter")
    assert "another-temp…" in caught.value.message
    assert "chat-templat…" in caught.value.message


async def test_an_adapter_that_is_not_ready_is_held_against_nothing(database: Database) -> None:
    assert await check(database, {"chat_template_digest": "another-template"}, status="probing") == []
