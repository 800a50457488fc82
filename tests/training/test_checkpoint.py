import json
from pathlib import Path

import numpy as np
import pytest

from tests.training.files import TEMPLATE, encode, write_base
from training.checkpoint import CheckpointUnreadable, digest_weights, read_chat_template, read_vocabulary_size
from training.verdict import BaseShape


def test_the_digest_depends_on_the_weights_and_not_on_other_files(tmp_path: Path) -> None:
    digest = write_base(tmp_path / "a").digest
    assert write_base(tmp_path / "same").digest == digest
    assert write_base(tmp_path / "other", seed=1).digest != digest
    (tmp_path / "a" / "config.json").write_text('{"vocab_size": 20, "transformers_version": "9"}')
    assert digest_weights(tmp_path / "a") == digest


def test_the_digest_is_the_same_in_one_file_and_in_several(tmp_path: Path) -> None:
    tensors = {name: ("F32", np.full((3, 5), number, np.float32)) for number, name in enumerate("bca")}
    for folder in ("one", "several"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text("{}")
    (tmp_path / "one" / "model.safetensors").write_bytes(encode(tensors))
    for number, name in enumerate(tensors):
        file = tmp_path / "several" / f"model-0000{number}-of-00003.safetensors"
        file.write_bytes(encode({name: tensors[name]}))
    assert digest_weights(tmp_path / "one") == digest_weights(tmp_path / "several")


LAYER = {"mlp.up_proj.weight": ("F32", np.zeros((3, 2), np.float32)), "norm.weight": ("F32", np.ones(2, np.float32))}


def write_layers(directory: Path, *layers: int, **config: object) -> Path:
    tensors = {f"model.layers.{layer}.{name}": tensor for layer in layers for name, tensor in LAYER.items()}
    (directory / "model.safetensors").write_bytes(encode(tensors))
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "chat_template.jinja").write_text(TEMPLATE)
    return directory


@pytest.mark.parametrize("config", [{"num_hidden_layers": 4}, {"text_config": {"num_hidden_layers": 4}}])
def test_a_checkpoint_without_a_layer_of_its_config_is_refused(tmp_path: Path, config: dict[str, object]) -> None:
    with pytest.raises(
        CheckpointUnreadable, match=r"has 4 layers, and there is no model\.layers\.2\.mlp\.up_proj\.weight"
    ):
        BaseShape.read(write_layers(tmp_path, 0, 1, **config))
    with pytest.raises(CheckpointUnreadable, match=r"no model\.layers\.1\."):
        BaseShape.read(write_layers(tmp_path, 0, 2, 3, **config))
    assert len(BaseShape.read(write_layers(tmp_path, 0, 1, 2, 3, 4, **config)).linears) == 4


def test_the_layers_of_a_second_stack_are_not_counted(tmp_path: Path) -> None:
    write_layers(tmp_path, 0, 1, 2, text_config={"num_hidden_layers": 3})
    tower = {f"vision.blocks.{layer}.weight": ("F32", np.ones(2, np.float32)) for layer in range(2)}
    (tmp_path / "model.safetensors").rename(tmp_path / "text.safetensors")
    (tmp_path / "vision.safetensors").write_bytes(encode(tower))
    assert set(BaseShape.read(tmp_path).linears) == {f"model.layers.{layer}.mlp.up_proj" for layer in range(3)}


def test_each_tensor_of_a_large_checkpoint_changes_the_digest(tmp_path: Path) -> None:
    numbers = np.zeros((2, 64, 1024), np.float32)
    digests: set[str] = set()
    for changes in ((0, 0), (1e-3, 0), (0, 1e-3)):
        directory = tmp_path / str(changes)
        directory.mkdir()
        (directory / "config.json").write_text("{}")
        file = encode({str(index): ("F32", numbers[index] + np.float32(changes[index])) for index in range(2)})
        (directory / "model.safetensors").write_bytes(file)
        digests.add(digest_weights(directory))
    assert len(digests) == 3


@pytest.mark.parametrize(
    "config",
    [
        {"chat_template": TEMPLATE},
        {"chat_template": [{"name": "tool_use", "template": "x"}, {"name": "default", "template": TEMPLATE}]},
    ],
)
def test_older_checkpoints_keep_their_template_with_the_tokenizer(tmp_path: Path, config: dict[str, object]) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert read_chat_template(tmp_path) == TEMPLATE
    (tmp_path / "chat_template.jinja").write_text("newer")
    assert read_chat_template(tmp_path) == "newer"


def test_the_template_of_a_model_that_sees_is_its_processors(tmp_path: Path) -> None:
    """As transformers and vLLM take it, before any other; a model of texts alone has no processor to read it."""
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "the tokenizer's"}))
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    assert read_chat_template(tmp_path) == "the tokenizer's"
    (tmp_path / "preprocessor_config.json").write_text("{}")
    assert read_chat_template(tmp_path) == TEMPLATE
    (tmp_path / "chat_template.json").write_text("{}")
    with pytest.raises(CheckpointUnreadable):
        read_chat_template(tmp_path)


@pytest.mark.parametrize("config", ["{}", '{"chat_template": []}', '{"chat_template": null}', "{"])
def test_a_model_without_a_template_cannot_chat(tmp_path: Path, config: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(config)
    with pytest.raises(CheckpointUnreadable):
        read_chat_template(tmp_path)


def test_a_folder_without_template_and_tokenizer_cannot_chat(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match="no chat template"):
        read_chat_template(tmp_path)


def test_a_template_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(CheckpointUnreadable, match=r"chat_template\.jinja can't be read"):
        read_chat_template(tmp_path)


@pytest.mark.parametrize("content", [b"\xff", b"[" * 100_000, b'{"vocab_size": "many"}'])
def test_a_damaged_config_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointUnreadable, match=r"config\.json can't be read") as caught:
        read_vocabulary_size(tmp_path)
    assert caught.value.code == "base_model_unusable"


def test_a_folder_without_safetensors_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match=r"config\.json"):
        digest_weights(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(CheckpointUnreadable, match="safetensors"):
        digest_weights(tmp_path)


def test_a_damaged_weight_file_is_named(tmp_path: Path) -> None:
    write_base(tmp_path / "base")
    file = tmp_path / "base" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointUnreadable, match=r"model\.safetensors can't be read.*cut off"):
        digest_weights(tmp_path / "base")


def test_the_vocabulary_of_a_model_with_pictures_is_that_of_its_text(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"vocab_size": 7}}))
    assert read_vocabulary_size(tmp_path) == 7


def write_shards(directory: Path, *names: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text("{}")
    (directory / "chat_template.jinja").write_text(TEMPLATE)
    for number, name in enumerate(names):
        file = directory / name
        file.write_bytes(
            encode({f"model.layers.{number}.up_proj.weight": ("F32", np.full((3, 5), number, np.float32))})
        )


@pytest.mark.parametrize("name", ["consolidated.safetensors", "consolidated-00001-of-00002.safetensors"])
def test_the_same_model_in_its_makers_own_format_is_not_counted(tmp_path: Path, name: str) -> None:
    write_shards(tmp_path / "plain", "model.safetensors")
    write_shards(tmp_path / "both", "model.safetensors", name)
    write_shards(tmp_path / "one", "weights.safetensors", name)
    (tmp_path / "both" / "params.json").write_text("{}")
    plain, both, one = [BaseShape.read(tmp_path / folder) for folder in ("plain", "both", "one")]
    assert (plain.digest, plain.parameters) == (both.digest, both.parameters) == (one.digest, one.parameters)
    write_shards(tmp_path / "alone", name)
    with pytest.raises(CheckpointUnreadable, match="has no safetensors weights"):
        BaseShape.read(tmp_path / "alone")


def test_the_index_decides_which_files_are_the_models(tmp_path: Path) -> None:
    write_shards(tmp_path, "model-1.safetensors", "model-2.safetensors", "other.safetensors")
    names = {f"model.layers.{number}.up_proj.weight": f"model-{number + 1}.safetensors" for number in range(2)}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    assert set(BaseShape.read(tmp_path).linears) == {"model.layers.0.up_proj", "model.layers.1.up_proj"}
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(CheckpointUnreadable, match=r"lacks model-2\.safetensors"):
        BaseShape.read(tmp_path)
