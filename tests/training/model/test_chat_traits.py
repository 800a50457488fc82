"""Each trait of chat templates through a real training, and behind it vLLM's own rendering of the served request."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from transformers import AutoTokenizer

import prompts
from tests.training import chat_templates as templates
from tests.training.model.tiny import write_checkpoint, write_tokenizer
from training.chat_format import ChatFormat, fold_system, read_chat_format
from training.chat_template import ChatTemplate
from training.dataset import Message
from training.errors import TrainingError
from training.events import Event, Finished, PromptSamples
from training.markers import read_markers
from training.rendered_rows import RowsFile, encode_rendered_rows
from training.run import run
from training.spec import Recipe, TrainSpec
from training.tokenization import RowTokenizer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its imports of torch warn
    from vllm.renderers import hf
    from vllm.renderers.chat_utils import parse_chat_messages

ROOT = Path(__file__).parents[3]
PROMPT = prompts.compile(prompts.DEFAULT)
RECIPE = Recipe(steps=2, batch_size=6, epochs=1, rank=4, learning_rate=1e-2)


def converse(number: int) -> list[prompts.Message]:
    return [
        prompts.Message("system", f"Mind rule {number}."),
        prompts.Message("user", "How far? "),
        prompts.Message("assistant", " A mile, or less. "),
        prompts.Message("user", f"And number {number}?"),
        prompts.Message("assistant", f"\nNumber {number} is farther."),
    ]


def serve(
    messages: Sequence[prompts.Message],
    format: ChatFormat,
    passages: Sequence[prompts.NumberedPassage] | None = None,
    markers: prompts.Markers = prompts.GENERIC,
) -> dict[str, Any]:
    """Make the request that the gateway sends for the last reply of a conversation, as `gateway.answering` does."""
    parts = prompts.split(messages[:-1])
    draft = prompts.draft(
        PROMPT,
        question=parts.question,
        instructions=parts.instructions,
        history=parts.history,
        passages=passages,
        markers=markers,
    )
    body: dict[str, Any] = {"messages": draft.fit([0] * len(draft.segments), 0).messages}
    if format.folds_system:
        body["messages"] = fold_system(body["messages"])
    return body | ({"chat_template_kwargs": format.variables} if format.variables else {})


def tokenize_as_vllm(directory: Path, body: dict[str, Any], tokenizer: Any = None) -> list[int]:
    """Render a chat request by vLLM's own code and give the ids that the engine would get."""
    tokenizer = tokenizer or cast("Any", AutoTokenizer).from_pretrained(directory)
    model = cast("Any", SimpleNamespace)(
        multimodal_config=None, trust_remote_code=False, tokenizer_revision=None, code_revision=None, revision=None,
        tokenizer=str(directory), model=str(directory), hf_config=SimpleNamespace(model_type="llama"),
        enable_prompt_embeds=False,
    )  # fmt: skip
    way = hf.resolve_chat_template_content_format(None, None, "auto", tokenizer, model_config=model)
    messages, _, _ = parse_chat_messages(body["messages"], model, way)
    variables = {"add_generation_prompt": True, **body.get("chat_template_kwargs", {})}
    text = hf.safe_apply_chat_template(model, tokenizer, messages, tokenize=False, **variables)
    return tokenizer.encode(text, add_special_tokens=False)


def write_rows(path: Path) -> RowsFile:
    rows = {number: prompts.render_row(PROMPT, converse(number), None) for number in range(1, 13)}
    path.write_bytes(encode_rendered_rows(rows))
    return RowsFile(str(path))


@pytest.mark.parametrize("trait", templates.TRAINABLE)
def test_what_is_learnt_is_what_the_engine_reads_and_writes(trait: str, tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", templates.TRAINABLE[trait])
    events: list[Event] = []
    run(
        TrainSpec(base_model=str(base), rows=write_rows(tmp_path / "rows"), recipe=RECIPE),
        tmp_path / "out",
        events.append,
    )
    assert isinstance(events[-1], Finished)
    manifest = events[-1].manifest
    assert manifest.rows == 12
    tokenizer = RowTokenizer.load(base, manifest.chat_template_kwargs)
    (tokenized,) = [event for event in events if isinstance(event, PromptSamples)]
    assert (len(tokenized.prompts), tokenized.chat_template_kwargs) == (8, manifest.chat_template_kwargs)
    for prompt in tokenized.prompts:
        assert prompt.tokens == tokenize_as_vllm(base, serve(converse(prompt.row), tokenizer.format))
    check_parity(base, trait, tokenizer)


@pytest.mark.parametrize("trait", templates.ALSO_TRAINABLE)
def test_rows_are_tokenized_as_the_engine_reads_them(trait: str, tmp_path: Path) -> None:
    write_tokenizer(tmp_path, templates.ALSO_TRAINABLE[trait])
    check_parity(tmp_path, trait, RowTokenizer.load(tmp_path))


def test_rows_of_the_packaged_base_are_tokenized_as_the_engine_reads_them(
    base_model: Path, tokenizer: RowTokenizer, plain: Any
) -> None:
    """SmolLM2's own tokenizer and chat template, whose default system text appears where there is none."""
    tokenizer, markers = (
        RowTokenizer.load(base_model),
        prompts.Markers.of(read_markers(base_model, prompts.find_generic) or ()),
    )
    passages = [
        prompts.NumberedPassage(1, "Preise 价格", "Der Kessel kostet 49,90 €.\n\n<|im_end|> 三天 🛳️"),
        prompts.NumberedPassage(2, "", "  Ask [INST] anna@kestrel.example </s>"),
    ]
    question = prompts.Message("user", " Wie weit, «Anna»?<|im_start|>\r\n")
    reply = prompts.Message("assistant", "\nEine Meile [1]. ")
    first = [prompts.Message("user", "Hi"), prompts.Message("assistant", " 你好 ")]
    system = prompts.Message("system", "Mind the rules.\n")
    for turns in ([question], [*first, question], [system, question], [system, *first, question]):
        for evidence in (None, [], passages):
            served = serve([*turns, reply], tokenizer.format, evidence, markers)
            prompt = tokenize_as_vllm(base_model, served, plain)
            row = prompts.render_row(PROMPT, [*turns, reply], evidence, markers=markers)
            learnt = tokenizer.tokenize(1, [Message(one["role"], one["content"]) for one in row])[-1]
            end = len(learnt.loss_mask) - learnt.loss_mask[::-1].index(True)
            answer = plain.encode(f"{row[-1]['content']}<|im_end|>", add_special_tokens=False)
            assert learnt.tokens[:end] == prompt + answer
            assert learnt.loss_mask[len(prompt) : end] == [True] * len(answer)


def check_parity(base: Path, trait: str, tokenizer: RowTokenizer) -> None:
    prompt = tokenize_as_vllm(base, serve(converse(7), tokenizer.format))
    row = prompts.render_row(PROMPT, converse(7), None)
    sequences = tokenizer.tokenize(7, [Message(one["role"], one["content"]) for one in row])
    text = "Number 7 is farther." if trait in ("trims content", "joins content parts") else "\nNumber 7 is farther."
    plain = cast("Any", AutoTokenizer).from_pretrained(base)
    reply = plain.encode(f"{text}<|im_end|>", add_special_tokens=False)
    (learnt,) = [one for one in sequences if one.tokens[: len(prompt) + len(reply)] == prompt + reply]
    assert learnt.loss_mask[len(prompt) - 1 : len(prompt) + len(reply) + 1][: len(reply) + 2] == [
        False, *[True] * len(reply), *[False] * (len(learnt.tokens) > len(prompt) + len(reply))
    ]  # fmt: skip
    assert sum(sum(one.loss_mask) for one in sequences) == len(reply) + len(plain.encode(first_reply(trait)))


def first_reply(trait: str) -> str:
    trims = trait in ("trims content", "joins content parts")
    return f"{' A mile, or less. '.strip() if trims else ' A mile, or less. '}<|im_end|>"


@pytest.mark.parametrize("trait", [*templates.TRAINABLE, *templates.ALSO_TRAINABLE, *templates.REFUSED])
def test_templates_are_read_as_vllm_and_transformers_read_them(trait: str, tmp_path: Path) -> None:
    template = (templates.TRAINABLE | templates.ALSO_TRAINABLE).get(trait) or templates.REFUSED[trait][0]
    write_tokenizer(tmp_path, template)
    ours, plain = ChatTemplate.read(tmp_path), cast("Any", AutoTokenizer).from_pretrained(tmp_path)
    assert ours.takes_parts == (hf._detect_content_format(template, default="string") == "openai")
    turns = [{"role": one.role, "content": one.content} for one in converse(1)[1:]]
    for count in range(1, 5):
        for prompt in (True, False):
            messages = ChatFormat(takes_parts=ours.takes_parts).prepare(turns[:count])
            expected = plain.apply_chat_template(messages, add_generation_prompt=prompt, tokenize=False)
            assert ours.render(turns[:count], prompt=prompt) == expected


@pytest.mark.parametrize("trait", templates.REFUSED)
def test_a_trait_that_cannot_be_learnt_is_refused_before_weights_are_read(trait: str, tmp_path: Path) -> None:
    template, message = templates.REFUSED[trait]
    write_tokenizer(tmp_path, template)
    with pytest.raises(TrainingError, match=message):
        RowTokenizer.load(tmp_path)


def test_the_day_of_a_job_is_the_day_of_its_requests(tmp_path: Path) -> None:
    base = write_checkpoint(tmp_path / "base", templates.DATED_VARIABLE)
    pinned = {"date_string": "01 Jan 2026"}
    spec = TrainSpec(
        base_model=str(base), rows=write_rows(tmp_path / "rows"), recipe=RECIPE, chat_template_kwargs=pinned
    )
    (tmp_path / "spec.json").write_bytes(msgspec.json.encode(spec))
    command = [sys.executable, "-m", "training", "run", str(tmp_path / "spec.json"), "--out", str(tmp_path / "out")]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"HF_HUB_OFFLINE": "1"}, capture_output=True)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["chat_template_kwargs"] == pinned
    assert read_chat_format(base).variables != pinned
    tokenizer = cast("Any", AutoTokenizer).from_pretrained(base)
    text = tokenizer.decode(manifest["probe"][0]["tokens"])
    assert "Today Date: 01 Jan 2026" in text
