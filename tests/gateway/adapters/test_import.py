"""An uploaded PEFT folder, from the upload to a model that answers, or to a reason why not."""

import io
import zipfile
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.adapters import import_job
from gateway.processes import open_program
from gateway.settings import Settings
from tests.fakes.peft import write_adapter
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import (
    adapters,
    ended,
    loads,
    retrieve,
    start,
    until_loaded,
    until_status,
    until_trains,
    upload,
    work_folders,
)
from tests.gateway.worker import die_at, working
from tests.waiting import until


def packed(folder: Path, **fields: Any) -> bytes:
    """The bytes of a zip with an adapter for the base model of the tests."""
    write_adapter(folder, base_name="base", **fields)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for one in sorted(folder.iterdir()):
            archive.write(one, f"voice/{one.name}")
        archive.writestr("voice/README.md", "Trained at home.")
    return file.getvalue()


async def start_import(client: httpx2.AsyncClient, data: bytes, name: str = "voice") -> dict[str, Any]:
    file = await upload(client, data, name="voice.zip", purpose="user_data")
    answer = await client.post("/api/adapters", json={"name": name, "file_id": file})
    assert answer.status_code == 202, answer.text
    return answer.json()


async def settled(client: httpx2.AsyncClient, id: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}

    async def is_settled() -> bool:
        nonlocal shown
        shown = (await client.get(f"/api/adapters/{id}")).json()
        return shown["status"] in ("ready", "refused")

    await until(is_settled)
    return shown


async def test_an_import_does_not_wait_for_a_training_that_runs(
    gateway: Gateway, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = tmp_path / "may_end"
    monkeypatch.setenv("BRAID_TEST_TRAINER", f"held:{may_end}")
    client = await gateway.tenant("kestrel")
    async with working(settings):
        job = (await start(client))["id"]
        await until_trains(client, job)
        adapter = await start_import(client, packed(tmp_path / "peft"))
        assert (await settled(client, adapter["id"]))["status"] == "ready"
        assert (await retrieve(client, job))["status"] == "running"
        may_end.touch()
        assert (await ended(client, job))["status"] == "succeeded"


async def test_from_an_upload_to_a_model_that_answers(
    gateway: Gateway, settings: Settings, engine: FakeVllm, tmp_path: Path
) -> None:
    client = await gateway.tenant("kestrel")
    adapter = await start_import(client, packed(tmp_path / "peft"))
    assert adapter["status"] == "checking"
    assert adapter["model"] is adapter["digest"] is adapter["rank"] is adapter["reason"] is None
    async with working(settings):
        done = await settled(client, adapter["id"])
    assert (done["status"], done["reason"], done["rank"]) == ("ready", None, 4)
    assert done["model"] == f"ft:base:kestrel:voice:{done['digest'][:8]}"
    await until_loaded(client, done["model"])
    assert loads(engine)[0] == str(settings.artifacts / "adapters" / done["digest"])
    stored = {file.name for file in (settings.artifacts / "adapters" / done["digest"]).iterdir()}
    assert stored == {"adapter_config.json", "adapter_model.safetensors"}
    answer = await client.post(
        "/v1/chat/completions", json={"model": done["model"], "messages": [{"role": "user", "content": "Hi"}]}
    )
    assert answer.status_code == 200, answer.text
    by_model = await client.get(f"/api/adapters/{done['model']}")
    assert by_model.json()["id"] == adapter["id"]
    assert not work_folders(settings, adapter["id"])


IMPORT_STEPS = (
    "claimed",
    "adapter-made",
    "reference-made",
    "adapter-judged",
    "adapter-stored",
    "adapter-named",
    "adapter-verified",
    "done",
)
SPOILS = {
    "nan": "not_finite",
    "shape": "wrong_shape",
    "module": "unknown_module",
    "dora": "unsupported_feature",
    "rank": "rank_over_limit",
    "no_effect": "no_effect",
}


@pytest.mark.case("adapter-config-unserved")
async def test_a_bad_adapter_is_refused_before_an_engine_sees_it(
    gateway: Gateway, settings: Settings, engine: FakeVllm, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    client = await gateway.tenant("kestrel")
    async with working(settings):
        for spoil, code in SPOILS.items():
            with subtests.test(spoil=spoil):
                adapter = await start_import(client, packed(tmp_path / spoil, spoil=spoil))
                done = await settled(client, adapter["id"])
                assert (done["status"], done["model"]) == ("refused", None)
                assert f"{code}: " in done["reason"]
    assert loads(engine) == []
    assert list((settings.artifacts / "adapters").iterdir()) == []


async def test_a_base_under_another_name_is_taken_by_its_shape_and_noted(
    gateway: Gateway, settings: Settings, tmp_path: Path
) -> None:
    client = await gateway.tenant("kestrel")
    async with working(settings):
        adapter = await start_import(client, packed(tmp_path / "other", spoil="base"))
        done = await settled(client, adapter["id"])
    assert done["status"] == "ready"
    assert "'another/model'" in done["reason"]


async def test_an_upload_that_is_no_archive_is_refused(gateway: Gateway, settings: Settings) -> None:
    client = await gateway.tenant("kestrel")
    adapter = await start_import(client, b"this is no zip")
    async with working(settings):
        done = await settled(client, adapter["id"])
    assert done["status"] == "refused"
    assert "can't be unpacked" in done["reason"]


async def test_an_upload_that_finds_no_room_to_be_unpacked_is_tried_again(
    gateway: Gateway, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[str, ...]] = []

    def open_full(command: tuple[str, ...], *arguments: Any, **options: Any) -> Any:
        commands.append(command)
        full = ("sh", "-c", "printf 'No space left on device'; exit 2")
        return open_program(full if len(commands) == 1 else command, *arguments, **options)

    monkeypatch.setattr(import_job, "open_program", open_full)
    client = await gateway.tenant("kestrel")
    adapter = await start_import(client, packed(tmp_path / "peft"))
    async with working(settings):
        done = await settled(client, adapter["id"])
    assert (done["status"], len(commands)) == ("ready", 2)


async def test_an_upload_that_is_gone_is_said_to_be(gateway: Gateway, settings: Settings, tmp_path: Path) -> None:
    client = await gateway.tenant("kestrel")
    adapter = await start_import(client, packed(tmp_path / "peft"))
    for file in (settings.artifacts / "files").iterdir():
        file.unlink()
    async with working(settings):
        done = await settled(client, adapter["id"])
    assert done["status"] == "refused"
    assert "was deleted" in done["reason"]


@pytest.mark.case("adapter-weight-names")
async def test_an_adapter_that_the_engine_ignores_is_refused(
    gateway: Gateway, settings: Settings, engine: FakeVllm, tmp_path: Path
) -> None:
    client = await gateway.tenant("kestrel")
    data = packed(tmp_path / "peft")
    async with working(settings):
        first = await settled(client, (await start_import(client, data))["id"])
        assert (await client.delete(f"/v1/models/{first['model']}")).status_code == 200
        engine.inert.add(f"kestrel.voice.{first['digest'][:8]}")
        second = await settled(client, (await start_import(client, data))["id"])
    assert second["status"] == "refused"
    assert "answers like the base model" in second["reason"]
    assert [row["id"] for row in await adapters(client)] == [second["id"]]


@pytest.mark.case("adapter-same-name-new-weights")
async def test_the_same_weights_under_the_same_name_are_there_already(
    gateway: Gateway, settings: Settings, tmp_path: Path
) -> None:
    kestrel, harbor = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    data = packed(tmp_path / "peft")
    async with working(settings):
        first = await settled(kestrel, (await start_import(kestrel, data))["id"])
        again = await settled(kestrel, (await start_import(kestrel, data))["id"])
        renamed = await settled(kestrel, (await start_import(kestrel, data, "tone"))["id"])
        theirs = await settled(harbor, (await start_import(harbor, data))["id"])
    assert again["status"] == "refused"
    assert first["model"] in again["reason"]
    assert renamed["status"] == theirs["status"] == "ready"
    assert len({row["model"] for row in (first, renamed, theirs)}) == 3
    assert first["digest"] == renamed["digest"] == theirs["digest"]


async def test_a_trained_adapter_can_be_imported_elsewhere(gateway: Gateway, settings: Settings) -> None:
    kestrel, harbor = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    async with working(settings):
        await ended(kestrel, (await start(kestrel))["id"])
        (trained,) = await adapters(kestrel)
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for one in (settings.artifacts / "adapters" / trained["digest"]).iterdir():
                archive.write(one, one.name)
        done = await settled(harbor, (await start_import(harbor, file.getvalue()))["id"])
    assert (done["status"], done["digest"]) == ("ready", trained["digest"])


async def test_an_import_waits_for_an_engine_that_is_away(
    gateway: Gateway, settings: Settings, engine: FakeVllm, tmp_path: Path
) -> None:
    client = await gateway.tenant("kestrel")
    await engine.stop()
    adapter = await start_import(client, packed(tmp_path / "peft"))
    async with working(settings):
        await until_status(client, "probing")
        await engine.start()
        assert (await settled(client, adapter["id"]))["status"] == "ready"


@pytest.mark.parametrize(
    ("param", "value", "status"),
    [("name", "a:b", 400), ("name", "", 400), ("file_id", "file-none", 404), ("file_id", None, 400)],
)
async def test_a_request_for_an_import_is_refused_with_the_parameter_at_fault(
    gateway: Gateway, param: str, value: str | None, status: int
) -> None:
    client = await gateway.tenant("kestrel")
    file = await upload(client, b"x", name="voice.zip", purpose="user_data")
    answer = await client.post("/api/adapters", json={"name": "voice", "file_id": file, param: value})
    assert answer.status_code == status
    assert answer.json()["error"]["param"] == param


async def test_a_file_of_another_purpose_or_tenant_is_refused(gateway: Gateway) -> None:
    kestrel, harbor = await gateway.tenant("kestrel"), await gateway.tenant("harbor")
    other = await upload(kestrel, b"x", name="voice.zip", purpose="assistants")
    answer = await kestrel.post("/api/adapters", json={"name": "voice", "file_id": other})
    assert answer.status_code == 400
    assert "'user_data'" in answer.json()["error"]["message"]
    own = await upload(kestrel, b"x", name="voice.zip", purpose="user_data")
    assert (await harbor.post("/api/adapters", json={"name": "voice", "file_id": own})).status_code == 404


@pytest.mark.e2e
@pytest.mark.parametrize("step", IMPORT_STEPS)
async def test_a_worker_killed_at_any_step_leaves_a_state_that_another_goes_on_from(
    gateway: Gateway, settings: Settings, engine: FakeVllm, tmp_path: Path, step: str
) -> None:
    client = await gateway.tenant("kestrel")
    adapter = await start_import(client, packed(tmp_path / "peft"))
    await die_at(settings, step)
    between = (await client.get(f"/api/adapters/{adapter['id']}")).json()
    expected = {"adapter-named": "probing", "adapter-verified": "probing", "done": "ready"}
    assert between["status"] == expected.get(step, "checking")
    async with working(settings):
        done = await settled(client, adapter["id"])
    assert done["status"] == "ready"
    assert not work_folders(settings, adapter["id"])
