"""What a checkpoint takes for more than text, read from files as they are published."""

import json
from pathlib import Path
from typing import Any

import pytest

import prompts
from tests.training.chat_templates import PLAIN
from training.checkpoint import CheckpointUnreadable, read_special_tokens
from training.markers import read_markers

LLAMA_2 = (
    "{% for message in messages %}"
    "{% if message.role == 'user' %}{{ bos_token + '[INST] ' + message.content + ' [/INST]' }}"
    "{% elif message.role == 'system' %}{{ '<<SYS>>\n' + message.content + '\n<</SYS>>' }}"
    "{% else %}{{ message.content + eos_token }}{% endif %}{% endfor %}"
)
SPELT_OUT = "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] }}{% endfor %}"
ALTERNATING = "{% if messages[0].role != 'user' %}{{ raise_exception('no') }}{% endif %}" + SPELT_OUT


def write(
    directory: Path, template: str = "{{ messages[0].content }}", *added: tuple[str, bool], **config: Any
) -> Path:
    tokens = [{"id": id, "content": content, "special": special} for id, (content, special) in enumerate(added)]
    (directory / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    (directory / "chat_template.jinja").write_text(template)
    return directory


def read(directory: Path) -> set[str]:
    markers = read_markers(directory, prompts.find_generic)
    assert markers is not None
    assert list(markers) == sorted(set(markers))
    return set(markers)


def test_special_tokens_are_markers_whatever_they_look_like(tmp_path: Path) -> None:
    special = ["<repo_name>", "§END§", "Question:", "<td>", "<|im_end|>", "|||IP|||"]
    assert read(write(tmp_path, PLAIN, *((one, True) for one in special))) == {*special, "<|im_start|>"}


@pytest.mark.parametrize("token", ["<tool_call>", "[ARGS]", "<|box|>", "｟x｠", "<escape>", "§END§"])
def test_other_tokens_are_markers_when_they_are_written_like_tags(tmp_path: Path, token: str) -> None:
    assert read(write(tmp_path, "", (token, False))) == {token}


@pytest.mark.parametrize(
    "token",
    [
        "<think>",
        "</think>",
        "[/THOUGHT]",
        "<td>",
        "</h1>",
        "<br/>",
        "<s>",
        "  ",
        "\n\n",
        "▁▁▁▁",
        "hello",
        "...",
        "C++",
        "—",
        "",
    ],
)
def test_tokens_that_are_plain_text_are_none(tmp_path: Path, token: str) -> None:
    assert read(write(tmp_path, "", (token, False))) == set()


@pytest.mark.parametrize(
    ("template", "markers"),
    [
        (LLAMA_2, {"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>"}),
        (SPELT_OUT, {"<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<s>", "</s>"}),
        (ALTERNATING, {"<|user|>", "<|assistant|>", "<|tool|>", "<s>", "</s>"}),
        ("{% if tools %}[AVAILABLE_TOOLS]{% endif %}", {"[AVAILABLE_TOOLS]", "<s>", "</s>"}),
    ],
)
def test_what_a_template_prints_as_plain_text_is_a_marker(tmp_path: Path, template: str, markers: set[str]) -> None:
    assert read(write(tmp_path, template, bos_token="<s>", eos_token={"content": "</s>", "special": True})) == markers


def test_every_file_that_adds_tokens_is_read(tmp_path: Path) -> None:
    decoder = {"7": {"content": "<a1>", "special": True}, "8": {"content": "<a2>", "special": False}}
    write(
        tmp_path, "", ("<a0>", True), pad_token="<a3>", add_bos_token=True, split_special_tokens=False,
        added_tokens_decoder=decoder, additional_special_tokens=["<a4>", {"content": "<a5>"}],
        extra_special_tokens={"image_token": "<a6>"}, model_max_length=7,
    )  # fmt: skip
    (tmp_path / "special_tokens_map.json").write_text('{"additional_special_tokens": ["<a7>"], "cls_token": null}')
    (tmp_path / "added_tokens.json").write_text('{"<a8>": 12, "word": 13}')
    tokens = read_special_tokens(tmp_path)
    assert tokens.names == {"pad_token": "<a3>"}
    assert tokens.texts == {f"<a{number}>" for number in (0, 1, 3, 4, 5, 6, 7)}
    assert tokens.others == {"<a2>", "<a8>", "word"}
    assert read(tmp_path) == {f"<a{number}>" for number in range(9)}


def test_of_another_format_of_tokenizer_nothing_is_known(tmp_path: Path) -> None:
    (write(tmp_path, LLAMA_2) / "tokenizer.json").unlink()
    assert read_markers(tmp_path, prompts.find_generic) is None


def test_a_damaged_tokenizer_is_named(tmp_path: Path) -> None:
    (write(tmp_path) / "tokenizer.json").write_text("[")
    with pytest.raises(CheckpointUnreadable, match=r"tokenizer\.json can't be read"):
        read_markers(tmp_path, prompts.find_generic)
