"""A second adapter by import, with the real worker and a trainer without torch."""

import json
from pathlib import Path

import pytest

from gateway.demo.adapters import find_adapter, import_at_strength, wait_until_loaded
from gateway.demo.tenant_clients import TenantClient
from gateway.terminal import CommandError
from tests.fakes.peft import write_adapter
from tests.fakes.vllm import FakeVllm
from tests.gateway.tuning import settings

__all__ = ["settings"]


@pytest.fixture
def folder(tmp_path: Path, engine: FakeVllm) -> Path:
    write_adapter(tmp_path / "adapter", base_name=engine.model, seed=3)
    return tmp_path / "adapter"


def alpha(folder: Path) -> float:
    return json.loads((folder / "adapter_config.json").read_text())["lora_alpha"]


async def test_an_import_is_another_adapter_of_the_same_weights(
    account: TenantClient, background_worker: None, folder: Path, tmp_path: Path
) -> None:
    model = await import_at_strength(account, folder, "softer", 0.5)
    adapter = await find_adapter(account.client, model)
    assert (adapter["name"], adapter["status"]) == ("softer", "ready")
    imported = tmp_path / "artifacts" / "adapters" / adapter["digest"]
    assert alpha(imported) == alpha(folder) / 2
    weights = "adapter_model.safetensors"
    assert (imported / weights).read_bytes() == (folder / weights).read_bytes()


async def test_it_is_loaded_where_the_demo_says_so(
    account: TenantClient, background_worker: None, folder: Path
) -> None:
    model = await import_at_strength(account, folder, "softer", 0.5)
    adapter = await wait_until_loaded(account.client, model)
    assert adapter["loaded"] == {"replicas": 1, "of": 1}


async def test_one_of_the_same_name_is_taken(account: TenantClient, background_worker: None, folder: Path) -> None:
    first = await import_at_strength(account, folder, "softer", 0.5)
    assert await import_at_strength(account, folder, "softer", 0.25) == first


async def test_an_adapter_that_is_refused_says_why(
    account: TenantClient, background_worker: None, tmp_path: Path, engine: FakeVllm
) -> None:
    write_adapter(tmp_path / "bad", base_name=engine.model, seed=3, spoil="nan")
    with pytest.raises(CommandError, match="softer is refused"):
        await import_at_strength(account, tmp_path / "bad", "softer", 0.5)
