"""Names belong to bytes: once given, a name is never another adapter's."""

import time

import pytest

from gateway.adapters.desired import DesiredAdapters
from gateway.adapters.identity import AdapterRefused, accept_verdict, check_name
from gateway.adapters.lifecycle import AdapterStatus, accept, refuse, set_aside, withdraw
from gateway.adapters.publish import name_adapter, refuse_undecided
from gateway.adapters.repository import AdapterRepository
from gateway.adapters.tables import AdapterRow
from gateway.db import open_database
from gateway.errors import BadRequest
from gateway.settings import Settings
from gateway.tenants.tables import TenantRow
from training.verdict import Reason, Verdict

TENANT = "ten_kestrel"
PROBE = {"tokens": [1, 2, 3], "from": 1, "logprobs": [-1.0, -2.0], "base_logprobs": [-3.0, -4.0]}
NAME_MEMBERS = [AdapterStatus.READY, AdapterStatus.PROBING, AdapterStatus.REFUSED, AdapterStatus.DELETED]


def adapter(id: str, digest: str) -> AdapterRow:
    return AdapterRow(
        id=id,
        created_at=int(time.time()),
        name="voice",
        digest=digest,
        base_model="base",
        rank=4,
        source="test",
        manifest={"probe": [PROBE]},
        job_id=f"job_{id}",
    )


async def name(settings: Settings, row: AdapterRow, status: AdapterStatus = AdapterStatus.PROBING) -> AdapterRow:
    """Name an adapter, and take it on to a state."""
    async with open_database(settings.database) as database, database.begin() as session:
        if await session.get(TenantRow, TENANT) is None:
            session.add(TenantRow(id=TENANT, name="kestrel", created_at=0))
            await session.flush()
        row = await name_adapter(session, row, tenant=TENANT, tenant_name="kestrel")
        if status in (AdapterStatus.READY, AdapterStatus.DELETED, AdapterStatus.OTHER_BASE):
            accept(row)
        if status is AdapterStatus.OTHER_BASE:
            set_aside(row, "It was trained on another base.")
        if status is AdapterStatus.DELETED:
            withdraw(row)
        if status is AdapterStatus.REFUSED:
            refuse(row, "It gives other numbers.")
        return row


async def test_a_name_carries_the_digest(settings: Settings) -> None:
    row = await name(settings, adapter("a", "0123456789abcdef"))
    assert row.model == "ft:base:kestrel:voice:01234567"
    assert row.served_name == "kestrel.voice.01234567"
    assert row.status == "probing"


@pytest.mark.parametrize("status", NAME_MEMBERS)
async def test_other_bytes_never_get_a_name_that_was_given(settings: Settings, status: AdapterStatus) -> None:
    await name(settings, adapter("a", "0123456789abcdef"), status)
    with pytest.raises(AdapterRefused, match="other weights"):
        await name(settings, adapter("b", "01234567ffffffff"))


@pytest.mark.parametrize(("status", "id"), list(zip(NAME_MEMBERS, "aabb", strict=True)))
async def test_the_same_bytes_are_the_same_adapter(settings: Settings, status: AdapterStatus, id: str) -> None:
    await name(settings, adapter("a", "0123456789abcdef"), status)
    async with open_database(settings.database) as database, database.begin() as session:
        row = await name_adapter(session, adapter("b", "0123456789abcdef"), tenant=TENANT, tenant_name="kestrel")
    assert row.id == id


async def test_weights_that_came_back_under_another_name_of_the_base_are_not_deleted(settings: Settings) -> None:
    served_name = "kestrel.voice.01234567"
    states = (AdapterStatus.DELETED, AdapterStatus.DELETED, AdapterStatus.READY)
    for base, status in zip(("base-1", "base-2", "base-3"), states, strict=True):
        row = adapter(base, "0123456789abcdef")
        row.base_model = base
        await name(settings, row, status)
        async with open_database(settings.database) as database, database.begin() as session:
            found = await AdapterRepository(session, TENANT).find_deleted(served_name)
        assert (found and found.id) == (base if status is AdapterStatus.DELETED else None)


async def test_weights_that_are_set_aside_twice_are_found(settings: Settings) -> None:
    for base in ("old", "new"):
        row = adapter(base, "0123456789abcdef")
        row.base_model = base
        await name(settings, row, AdapterStatus.OTHER_BASE)
    async with open_database(settings.database) as database, database.begin() as session:
        found = await AdapterRepository(session, TENANT).find_set_aside("kestrel.voice.01234567")
    assert found is not None


async def test_engines_have_to_hold_ready_and_probing_adapters(settings: Settings) -> None:
    for status in NAME_MEMBERS:
        await name(settings, adapter(status, f"{status}-digest"), status)
    async with open_database(settings.database) as database:
        desired = DesiredAdapters(database, settings)
        first, second = sorted(await desired(), key=lambda one: one.served_name)
        assert (first.served_name, first.id) == ("kestrel.voice.probing-", "probing")
        assert (second.served_name, second.id) == ("kestrel.voice.ready-di", "ready")
        assert second.path == f"{desired.folder}/ready-digest" == str(settings.artifacts / "adapters" / "ready-digest")
        assert (second.probe[0].tokens, second.probe[0].start) == ([1, 2, 3], 1)
        elsewhere = DesiredAdapters(database, settings.model_copy(update={"engine_adapter_dir": "/mnt/adapters"}))
        paths = {one.path for one in await elsewhere()}
        assert paths == {"/mnt/adapters/probing-digest", "/mnt/adapters/ready-digest"}


async def test_what_a_job_had_not_got_through_is_refused_and_not_desired_any_more(settings: Settings) -> None:
    for status in (AdapterStatus.READY, AdapterStatus.PROBING):
        await name(settings, adapter(status, f"{status}-digest"), status)
    async with open_database(settings.database) as database:
        async with database.begin() as session:
            for job in ("job_probing", "job_ready"):
                await refuse_undecided(session, TENANT, job, "It was cancelled.")
            row = await AdapterRepository(session, TENANT).get("probing")
            assert (row.status, row.reason) == ("refused", "It was cancelled.")
        assert [one.served_name for one in await DesiredAdapters(database, settings)()] == ["kestrel.voice.ready-di"]


def test_a_verdict_is_accepted_or_refused_with_its_reasons() -> None:
    assert accept_verdict(Verdict(ok=True, reasons=[], digest="ab", rank=4)).digest == "ab"
    reasons = [Reason("not_finite", "NaN."), Reason("wrong_shape", "Too long.")]
    with pytest.raises(AdapterRefused) as refused:
        accept_verdict(Verdict(ok=False, reasons=reasons))
    assert refused.value.message == "not_finite: NaN. wrong_shape: Too long."


@pytest.mark.parametrize("good", ["voice", "a", "A-1_b", "x" * 64])
def test_a_name_that_can_be_part_of_a_models_name(good: str) -> None:
    assert check_name(good, param="name") == good


@pytest.mark.parametrize("bad", ["", "a:b", "a.b", "a/b", "-a", "x" * 65, "é"])
def test_a_name_that_cannot_be_part_of_a_models_name(bad: str) -> None:
    with pytest.raises(BadRequest, match="can't become part") as refused:
        check_name(bad, param="suffix")
    assert refused.value.param == "suffix"
