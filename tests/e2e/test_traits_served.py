"""Each trait of chat templates, trained by the real trainer and served by a real engine, before a release.

A random base of two layers per trait, one engine each: a minute of two cores. What the training learnt, token by token,
is what the engine reads of the request that the gateway sends; and the engine proves that it applies what was learnt.
That vLLM's code renders the same is tested without engines too (`tests/training/model/test_chat_traits.py`).
"""

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

import prompts
from gateway.answering.compose import compose
from gateway.answering.question import Message, Question
from gateway.answering.resolve import Target
from gateway.answering.retrieve import NO_EVIDENCE
from gateway.engines import DesiredAdapter
from gateway.engines.base_traits import BaseTraits
from gateway.engines.probe import measure
from gateway.engines.token_counter import TokenCounter
from gateway.fine_tuning.parity import ParityProof
from tests.e2e.local_engine import RunningEngine, Wanted, call_training, read_probes, run_engine
from tests.training import chat_templates as templates
from training.chat_format import read_chat_format
from training.events import Event, Failed, Finished, PromptSamples, decode_event
from training.rendered_rows import RowsFile, encode_rendered_rows
from training.spec import Recipe, TrainSpec
from training.turn import TemplateUnlearnable

PROMPT = prompts.compile(prompts.DEFAULT)
ROWS = 12
RECIPE = Recipe(steps=12, batch_size=6, epochs=6, rank=8, learning_rate=1e-2)
NAME = "kestrel.trait.00000000"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.release,
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base for each trait."""
    folder = tmp_path_factory.mktemp("bases")
    call_training("-m", "tests.e2e.trait_bases", str(folder))
    return folder


def converse(trait: str, number: int) -> list[prompts.Message]:
    """Return a conversation with all that the traits differ in: a system text, two turns, a thought, white space."""
    # Where thoughts are switched off, none can be learnt.
    thought = "" if trait == "opens a thought unless told not to" else "<think>\nOne mile it is.\n</think>\n\n"
    return [
        prompts.Message("system", f"Mind rule {number}."),
        prompts.Message("user", "How far? "),
        prompts.Message("assistant", f"{thought} A mile, or less. "),
        prompts.Message("user", f"And number {number}?"),
        prompts.Message("assistant", f"\nNumber {number} is farther."),
    ]


def train(trait: str, base: Path, work: Path) -> tuple[TrainSpec, list[Event]]:
    """Run the trainer's program as a job does, and return its events."""
    rows = {number: prompts.render_row(PROMPT, converse(trait, number), None) for number in range(1, ROWS + 1)}
    (work / "rows").write_bytes(encode_rendered_rows(rows))
    spec = TrainSpec(base_model=str(base), rows=RowsFile(str(work / "rows")), recipe=RECIPE)
    (work / "spec.json").write_bytes(msgspec.json.encode(spec))
    arguments = ("-m", "training", "run", str(work / "spec.json"), "--out", str(work / "adapter"))
    done = call_training(*arguments, check=False)
    return spec, [decode_event(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("trait", templates.TRAINABLE)
async def test_what_is_learnt_is_what_a_real_engine_reads(trait: str, bases: Path, tmp_path: Path) -> None:
    base, started = bases / trait, time.monotonic()
    spec, events = train(trait, base, tmp_path)
    assert isinstance(events[-1], Finished), events[-1]
    (tokenized,) = [event for event in events if isinstance(event, PromptSamples)]
    trained = time.monotonic()
    adapter = DesiredAdapter(NAME, str(tmp_path / "adapter"), read_probes(tmp_path / "adapter" / "manifest.json"))
    async with run_engine(base, Wanted(adapter), tmp_path) as running:
        await running.reconciler.wait_until_resident(NAME, 120)
        assert running.reconciler.list_failures() == []
        listing = await running.engine.list_models()
        assert listing.adapters == {NAME: adapter.path}
        proof = await measure(running.engine, adapter, listing)
        assert proof.passed, proof.verdict

        traits = BaseTraits(running.pool, None)  # as an engine of others' tells them
        parity = await ParityProof(running.pool, traits).compare(spec.rows, "sft", tokenized)
        assert traits.folds_system == read_chat_format(base).folds_system
        assert parity.equal == len(tokenized.prompts)
        prompt = tokenized.prompts[-1]
        messages = [Message(one.role, one.content) for one in converse(trait, prompt.row)[:-1]]
        body = await make_request(running, traits, messages, tokenized.chat_template_kwargs)
        assert await running.engine.tokenize_prompt(NAME, body) == prompt.tokens
        answer = json.loads(await running.chat(json.loads(body)))
    assert answer["model"] == NAME
    assert answer["prompt_token_ids"] == prompt.tokens
    assert answer["usage"]["prompt_tokens"] == len(prompt.tokens)
    seconds = f"{trained - started:.0f} + {time.monotonic() - trained:.0f} s"
    print(f"| {trait} | {RECIPE.steps} | {parity.tokens} | {parity.equal} of {parity.equal} | {seconds} |")  # noqa: T201
    print(proof.verdict)  # noqa: T201


async def make_request(
    running: RunningEngine, traits: BaseTraits, messages: list[Message], variables: dict[str, Any]
) -> bytes:
    """Make the engine's request for the next reply of a conversation, as the gateway does."""
    parameters = {"max_tokens": 8, "temperature": 0, "return_token_ids": True}
    question = Question("answer-1", NAME, messages, parameters)
    target = Target(NAME, adapter=NAME, prompt=PROMPT, chat_template_kwargs=variables or None)
    counter = TokenCounter(running.pool)
    options = {"folds_system": traits.folds_system, "markers": traits.markers}
    return (await compose(question, target, NO_EVIDENCE, "ten_kestrel", counter, **options)).body


@pytest.mark.parametrize("trait", templates.REFUSED)
def test_what_cannot_be_learnt_is_refused_where_jobs_are_made_and_by_the_trainer(
    trait: str, bases: Path, tmp_path: Path
) -> None:
    _, message = templates.REFUSED[trait]
    with pytest.raises(TemplateUnlearnable, match=message):
        read_chat_format(bases / trait)
    _, events = train(trait, bases / trait, tmp_path)
    assert isinstance(events[-1], Failed)
    assert events[-1].code == "unsupported_chat_template"
    assert message in events[-1].message
    assert not (tmp_path / "adapter").exists()
