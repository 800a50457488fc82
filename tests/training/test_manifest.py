import hashlib
from pathlib import Path

import msgspec
import pytest

from tests.training.files import manifest_of, write_adapter, write_base
from training.manifest import Probe, digest_adapter, read_manifest


def test_the_digest_covers_config_and_weights_and_nothing_else(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "a")
    before = digest_adapter(adapter)
    (adapter / "README.md").write_text("x")
    assert digest_adapter(adapter) == before
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        content = (adapter / name).read_bytes()
        (adapter / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert digest_adapter(adapter) != before
        (adapter / name).write_bytes(content)
    assert digest_adapter(adapter) == before


def test_bytes_cannot_move_between_the_two_files(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "a")
    before = digest_adapter(adapter)
    config, weights = adapter / "adapter_config.json", adapter / "adapter_model.safetensors"
    config.write_bytes(config.read_bytes() + weights.read_bytes()[:1])
    weights.write_bytes(weights.read_bytes()[1:])
    assert digest_adapter(adapter) != before


def test_the_digest_is_the_sha256_that_its_documentation_says(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "a")
    config, weights = (adapter / name for name in ("adapter_config.json", "adapter_model.safetensors"))
    expected = hashlib.sha256(config.stat().st_size.to_bytes(8, "little") + config.read_bytes() + weights.read_bytes())
    assert digest_adapter(adapter) == expected.hexdigest()


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    adapter = write_adapter(tmp_path / "a")
    probe = Probe(tokens=[1, 2, 3], start=2, logprobs=[-0.5], base_logprobs=[-1.5])
    manifest = msgspec.structs.replace(manifest_of(adapter, base), probe=[probe])
    content = msgspec.json.encode(manifest)
    (adapter / "manifest.json").write_bytes(content)
    assert read_manifest(adapter) == manifest
    assert msgspec.json.decode(content)["probe"][0]["from"] == 2


def test_an_unfinished_adapter_has_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_manifest(write_adapter(tmp_path / "a"))
