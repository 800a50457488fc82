"""An adapter leaves as a PEFT folder, and comes back as one."""

import io
import zipfile
from pathlib import Path

import httpx2
import pytest

from gateway.adapters import export as export_module
from gateway.adapters.archive import CONFIG, WEIGHTS, extract
from gateway.adapters.export import Export, open_export, write_card
from gateway.artifacts import Artifacts
from gateway.settings import Settings
from tests.fakes.peft import write_adapter
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import adapters, ended, start
from tests.gateway.worker import working


async def train(client: httpx2.AsyncClient, settings: Settings) -> str:
    async with working(settings):
        done = await ended(client, (await start(client, suffix="voice"))["id"])
    return done["fine_tuned_model"]


async def test_the_archive_is_a_peft_folder_with_a_model_card(
    gateway: Gateway, settings: Settings, tmp_path: Path
) -> None:
    client = await gateway.tenant("kestrel")
    model = await train(client, settings)
    (row,) = await adapters(client)
    answer = await client.get(f"/api/adapters/{row['id']}/export")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert "kestrel.voice." in answer.headers["content-disposition"]
    assert (await client.get(f"/api/adapters/{model}/export")).content == answer.content
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {"README.md", CONFIG, WEIGHTS}
        card = archive.read("README.md").decode()
    assert card.startswith('---\nbase_model: "base"\nlibrary_name: "peft"\n')
    assert model in card
    assert row["digest"] in card
    assert str(settings.home) not in card
    (tmp_path / "out.zip").write_bytes(answer.content)
    (tmp_path / "out").mkdir()
    extract(tmp_path / "out.zip", tmp_path / "out")
    stored = gateway.state.artifacts.locate_adapter(row["digest"])
    assert [(tmp_path / "out" / name).read_bytes() for name in (CONFIG, WEIGHTS)] == [
        (stored / name).read_bytes() for name in (CONFIG, WEIGHTS)
    ]
    other = await gateway.tenant("harbor")
    assert (await other.get(f"/api/adapters/{row['id']}/export")).status_code == 404
    assert (await client.delete(f"/v1/models/{model}")).status_code == 200
    gone = await client.get(f"/api/adapters/{row['id']}/export")
    assert (gone.status_code, gone.json()["error"]["code"]) == (409, "no_weights")


def test_it_comes_in_parts_and_never_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "_PART", 100)
    artifacts = Artifacts(tmp_path)
    weights = write_adapter(artifacts.locate_adapter("digest"), base_name="base") / WEIGHTS
    parts = list(open_export(artifacts, Export("digest", "a.zip", "# A\n")))
    assert len(parts) > weights.stat().st_size // 100
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        assert archive.read(WEIGHTS) == weights.read_bytes()


def test_a_card_tells_what_is_known_and_nothing_else() -> None:
    manifest = {
        "recipe": {"alpha": 16, "epochs": 3, "learning_rate": None},
        "rows": 50,
        "written_rows": {"rows": 20, "of": 50},
        "trained_tokens": 0,
        "base_digest": "sha256:b",
        "chat_template_kwargs": {"enable_thinking": False},
        "optimizer": "adamw",
    }
    card = write_card("voice", "ft:base:kestrel:voice:1", 'a "b"', "d1", 8, manifest)
    assert card.startswith('---\nbase_model: "a \\"b\\""\nlibrary_name: "peft"\n')
    rows = [line for line in card.splitlines() if line.startswith("| ")][1:]
    assert rows == [
        '| Base model | a "b" |',
        "| Digest of the base's weights | sha256:b |",
        "| Digest of these files | d1 |",
        "| Rank | 8 |",
        "| Alpha | 16 |",
        "| Epochs | 3 |",
        "| Rows | 50 |",
        "| Rows that a model wrote | 20 |",
        "| Trained tokens | 0 |",
        '| Values for the chat template | {"enable_thinking":false} |',
    ]
    assert "--max-lora-rank 8 --lora-modules voice=THIS_FOLDER" in card
    imported = write_card("voice", "ft:base:kestrel:voice:1", "base", "d1", 8, {"chat_template_kwargs": {}})
    assert imported.count("\n| ") == 1 + 3, "base, digest and rank"


def test_equal_adapters_make_equal_files(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    write_adapter(artifacts.locate_adapter("digest"), base_name="base")
    one, other = (b"".join(open_export(artifacts, Export("digest", "a.zip", "# A\n"))) for _ in range(2))
    assert one == other
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        assert {member.date_time[0] for member in archive.infolist()} == {1980}
