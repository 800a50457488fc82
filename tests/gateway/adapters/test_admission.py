"""Names belong to bytes: once given, a name is never another adapter's."""

import time

import pytest
from gateway.adapters.admission import name_adapter, refuse_unproven
from gateway.adapters.refusal import AdapterRefused, passed

from gateway.adapters.desired import DesiredAdapters
from gateway.adapters.repository import AdapterRepository
from gateway.adapters.tables import AdapterRow
from gateway.db import open_database
from gateway.settings import Settings
from gateway.tenants.tables import TenantRow
from training.verdict import Reason, Verdict

TENANT = "ten_kestrel"
PROBE = {"tokens": [1, 2, 3], "from": 1, "logprobs": [-1.0, -2.0], "base_logprobs": [-3.0, -4.0]}


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


async def named(settings: Settings, row: AdapterRow, status: str | None = None) -> AdapterRow:
    async with open_database(settings.database) as database, database.begin() as session:
        if await session.get(TenantRow, TENANT) is None:
            session.add(TenantRow(id=TENANT, name="kestrel", created_at=0))
            await session.flush()
        found = await name_adapter(session, row, tenant=TENANT, tenant_name="kestrel")
        found.status = status or found.status
        return found


async def test_a_name_carries_the_digest(settings: Settings) -> None:
    row = await named(settings, adapter("a", "0123456789abcdef"))
    assert row.model == "ft:base:kestrel:voice:01234567"
    assert row.served_name == "kestrel.voice.01234567"
    assert row.status == "probing"


@pytest.mark.parametrize("status", ["ready", "probing", "refused", "deleted"])
async def test_other_bytes_never_get_a_name_that_was_given(settings: Settings, status: str) -> None:
    await named(settings, adapter("a", "0123456789abcdef"), status)
    with pytest.raises(AdapterRefused, match="other weights"):
        await named(settings, adapter("b", "01234567ffffffff"))


@pytest.mark.parametrize(("status", "id"), [("ready", "a"), ("probing", "a"), ("refused", "b"), ("deleted", "b")])
async def test_the_same_bytes_are_the_same_adapter(settings: Settings, status: str, id: str) -> None:
    await named(settings, adapter("a", "0123456789abcdef"), status)
    assert (await named(settings, adapter("b", "0123456789abcdef"))).id == id


async def test_whats_wanted(settings: Settings) -> None:
    for status in ("ready", "probing", "refused", "deleted"):
        await named(settings, adapter(status, f"{status}-digest"), status)
    async with open_database(settings.database) as database:
        wanted = DesiredAdapters(database, settings)
        found = await wanted()
        assert {one.served_name for one in found} == {"kestrel.voice.ready-di", "kestrel.voice.probing-"}
        one = next(one for one in found if one.served_name.endswith("ready-di"))
        assert one.path == str(settings.artifacts / "adapters" / "ready-digest")
        assert (one.probe[0].tokens, one.probe[0].start) == ([1, 2, 3], 1)
        async with database.begin() as session:
            await refuse_unproven(session, TENANT, "job_probing", "It was cancelled.")
            row = await AdapterRepository(session, TENANT).get("probing")
            assert (row.status, row.reason) == ("refused", "It was cancelled.")
        assert [one.served_name for one in await wanted()] == ["kestrel.voice.ready-di"]
        elsewhere = DesiredAdapters(database, settings.model_copy(update={"engine_adapter_dir": "/mnt/adapters"}))
        assert [one.path for one in await elsewhere()] == ["/mnt/adapters/ready-digest"]


def test_a_verdict_with_its_reasons() -> None:
    assert passed(Verdict(ok=True, reasons=[], digest="ab", rank=4)).digest == "ab"
    reasons = [Reason("not_finite", "NaN."), Reason("wrong_shape", "Too long.")]
    with pytest.raises(AdapterRefused) as refused:
        passed(Verdict(ok=False, reasons=reasons))
    assert refused.value.code == "not_finite"
    assert refused.value.message == "not_finite: NaN. wrong_shape: Too long."
