"""Preferences by what is generated: `.venv-model/bin/python -m tests.bench.preference_wins --base FOLDER --out FOLDER`.

The rule is that a reply ends with "Fair winds.". One adapter learns replies of which half keep to it; another goes on
from there by pairs in which the better reply does. Both answer questions that neither has seen, by transformers and
with the same seeds, and the rule is the judge: an answer wins that keeps it where the other one doesn't. Beside it
stand the share of the held-out pairs whose better reply has gained on the worse one, which the training measures, and
the share of answers with the price that the question states, which a preference for an ending shouldn't cost.

What was trained is kept in the folder. Some ten minutes of a core with the packaged model.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import torch
from transformers import AutoTokenizer

from gateway.evaluation.estimate import Estimate, estimate_share
from gateway.evaluation.values import TextValues, find_values
from training.events import Checkpoint, Event
from training.hardware import TrainingDevice
from training.model import load_adapted
from training.rendered_rows import RowsFile
from training.run import run
from training.spec import Recipe, TrainSpec

__all__ = ["Figures", "compare_answers", "keeps_rule", "main", "make_preference"]

RULE = "Fair winds."
CPU = TrainingDevice("cpu", torch.float32)
_THINGS = ("kettle", "lamp", "chair", "clock", "bag", "radio", "pan", "desk")
_ENDINGS = ("Goodbye.", "Bye now.", "So long.")
_MOST_TOKENS = 40
_BATCH = 12


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of the answers before and after the preferences, and of the answers with a winner those that win."""

    kept_before: Estimate
    kept_after: Estimate
    wins: Estimate | None
    right_before: Estimate
    right_after: Estimate


def make_preference(number: int) -> dict[str, Any]:
    """Return a row whose two replies differ in how they end alone."""
    thing, price = _THINGS[number % len(_THINGS)], 10 + 7 * number
    question = f"The {thing} costs {price} euros. What is its price?"
    body = f"Hello! The {thing} is {price} euros."
    return {
        "input": {"messages": [{"role": "user", "content": question}]},
        "preferred_output": [{"role": "assistant", "content": f"{body} {RULE}"}],
        "non_preferred_output": [{"role": "assistant", "content": f"{body} {_ENDINGS[number % len(_ENDINGS)]}"}],
    }


def keeps_rule(answer: str) -> bool:
    """Judge an answer."""
    return answer.rstrip().endswith(RULE)


def compare_answers(questions: Sequence[str], before: Sequence[str], after: Sequence[str]) -> Figures:
    """Judge two answers to each question."""
    kept = [(keeps_rule(one), keeps_rule(other)) for one, other in zip(before, after, strict=True)]
    decided = [other for one, other in kept if one != other]
    right_before, right_after = (
        [_states_values(answer, question) for answer, question in zip(answers, questions, strict=True)]
        for answers in (before, after)
    )
    return Figures(
        kept_before=estimate_share([one for one, _ in kept]),
        kept_after=estimate_share([other for _, other in kept]),
        wins=estimate_share(decided) if decided else None,
        right_before=estimate_share(right_before),
        right_after=estimate_share(right_after),
    )


def _states_values(answer: str, question: str) -> bool:
    evidence = TextValues.of(answer)
    return all(evidence.states(value) for value in find_values(question))


def main(arguments: Sequence[str] | None = None) -> Figures:
    """Train both, ask both, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.preference_wins")
    parser.add_argument("--base", type=Path, required=True, help="a checkpoint folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--held-out", type=int, default=24)
    parser.add_argument("--samples", type=int, default=2, help="answers to each held-out question")
    parser.add_argument("--epochs", type=int, help="passes over the pairs; else those of a job")
    options = parser.parse_args(arguments)
    start, out = options.out / "replies", options.out / f"preferences-{options.epochs or 'auto'}"
    pairs = [make_preference(number) for number in range(options.pairs + options.held_out)]
    learnt, held_out = pairs[: options.pairs], pairs[options.pairs :]
    replies = [
        {"messages": [*row["input"]["messages"], *row[name]]}
        for row in learnt
        for name in ("preferred_output", "non_preferred_output")
    ]
    _train(options.base, start, replies, Recipe.for_rows(len(replies), epochs=1))
    recipe = Recipe.for_rows(len(learnt), epochs=options.epochs, method="dpo")
    accuracy = _train(options.base, out, learnt, recipe, held_out=held_out, start=start)
    questions = [row["input"]["messages"][0]["content"] for row in held_out] * options.samples
    before, after = (_ask(options.base, folder, questions) for folder in (start, out))
    figures = compare_answers(questions, before, after)
    for name, answers in (("before", before), ("after", after)):
        sys.stdout.write(f"{name}: {json.dumps(answers[:3])}\n")
    sys.stdout.write(f"{json.dumps(asdict(_round(figures)))}\nof likelihood: {accuracy}\n")
    return figures


def _train(
    base: Path,
    out: Path,
    rows: Sequence[Any],
    recipe: Recipe,
    *,
    held_out: Sequence[Any] = (),
    start: Path | None = None,
) -> list[float | None]:
    """Train unless it is there, and return the accuracy on held-out pairs after each epoch."""
    noted = out.with_suffix(".json")
    if not noted.exists():
        events: list[Event] = []
        spec = TrainSpec(
            base_model=str(base),
            rows=_write(out.with_suffix(".rows"), rows),
            recipe=recipe,
            start=str(start) if start else None,
            validation_rows=_write(out.with_suffix(".held-out"), held_out) if held_out else None,
        )
        run(spec, out, events.append)
        metrics = [event.metrics for event in events if isinstance(event, Checkpoint)]
        noted.write_text(json.dumps([one.valid_reward_accuracy for one in metrics]))
    return json.loads(noted.read_text())


def _write(file: Path, rows: Sequence[Any]) -> RowsFile:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\n".join(msgspec.json.encode(row) for row in rows))
    return RowsFile(str(file))


def _ask(base: Path, adapter: Path, questions: Sequence[str]) -> list[str]:
    """Sample an answer to each question at temperature 1; every batch has a seed of its own."""
    tokenizer = cast("Any", AutoTokenizer).from_pretrained(base, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = load_adapted(base, adapter, CPU).eval()
    answers: list[str] = []
    for at in range(0, len(questions), _BATCH):
        texts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": one}], tokenize=False, add_generation_prompt=True
            )
            for one in questions[at : at + _BATCH]
        ]
        batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        torch.manual_seed(at)
        with torch.no_grad():
            tokens = model.generate(
                **batch, max_new_tokens=_MOST_TOKENS, do_sample=True, top_k=0, pad_token_id=tokenizer.pad_token_id
            )
        answers += tokenizer.batch_decode(tokens[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return answers


def _round(figures: Figures) -> Figures:
    def shorten(one: Estimate | None) -> Any:
        return one and {"share": round(one.value, 3), "low": round(one.low, 3), "high": round(one.high, 3), "n": one.n}

    return Figures(**{name: shorten(getattr(figures, name)) for name in Figures.__slots__})


if __name__ == "__main__":
    main()
