"""The price of a voice: what a base keeps of its own after rows of one kind, by the rate at which they are learnt.

    .venv-model/bin/python -m tests.bench.general_loss --base FOLDER --out FOLDER [--rates 1 0.5 0.25]
    .venv-model/bin/python -m tests.bench.general_loss … --rates --adapters house=FOLDER alone=FOLDER

The shop's rows of `tests.bench.proofs` are learnt in one epoch of batches of 2, as there, at multiples of a job's own
rate; adapters that there are already, such as the proofs', are measured as they are. Greedily and by transformers:

- `style`: rules that answers keep, learnt from all held-out replies, `likeness`: how alike answers are to them, and
  `gain`: how much likelier the replies are than for the base, in nats per token,
- `right` and `follows`: answers with the value of their passages, as they are and with other values in them,
- `kept`: of the prompts of the gate's suite that the base passes those that the adapter passes too, and `won`: of those
  that it fails those that the adapter passes; whoever answers otherwise loses some and wins some,
- `neutral` and `own`: how much less likely neutral text, and the base's own answers to the suite, have become, in nats
  per token.

What was trained and asked is kept in the folder: a run that was interrupted goes on there.
"""

import argparse
import gc
import json
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
import torch

import prompts
from gateway.evaluation.base_suite import FIRST_PROMPTS, MOST_PROMPTS, SuitePrompt, load_base_suite
from gateway.evaluation.faithfulness import make_counterfactual
from gateway.evaluation.learnt_rules import learn_rules
from gateway.evaluation.stated_values import list_values
from gateway.evaluation.values import TextValues
from gateway.evaluation.voice_classifier import score_likeness
from tests.bench.counterfactual import Answerer, Options
from tests.bench.proofs import shop
from training.events import Event
from training.rendered_rows import RowsFile, encode_rendered_rows
from training.run import run
from training.spec import Recipe, TrainSpec

__all__ = ["Figures", "main"]

Messages = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one adapter."""

    style: float
    likeness: float
    gain: float
    right: float
    follows: float
    kept: float
    won: float
    neutral: float
    own: float


class Speaker(Answerer):
    """Answers, and says how likely what others wrote is."""

    def score(self, messages: Messages, reply: str, *, bare: bool = False) -> float:
        """Return the log-probability of a reply per token, with the token that ends it."""
        prompt = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        turns = [*messages, {"role": "assistant", "content": reply}]
        whole = self._tokenizer.apply_chat_template(turns, tokenize=False)
        return self._measure(whole, len(self._encode(prompt)), bare=bare)

    def score_text(self, text: str, *, bare: bool = False) -> float:
        return self._measure(text, 1, bare=bare)

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def _measure(self, text: str, start: int, *, bare: bool) -> float:
        model = cast("Any", self._model)
        tokens = torch.tensor([self._encode(text)])
        with torch.no_grad():
            if bare:
                with model.disable_adapter():
                    logits = model(input_ids=tokens).logits
            else:
                logits = model(input_ids=tokens).logits
        scores = torch.log_softmax(logits[0, :-1].float(), -1).gather(1, tokens[0, 1:, None])[:, 0]
        return float(scores[start - 1 :].mean())


class Material:
    """All that is asked, and what the base says to it."""

    def __init__(self, prompts_asked: int, suite_step: int, held_out: int) -> None:
        self._template = prompts.compile(shop.TEMPLATE)
        rows = shop.held_out_rows()
        self.held_out = rows[:: max(1, len(rows) // held_out)][:held_out]
        suite = load_base_suite()
        self.suite = suite.prompt[:prompts_asked:suite_step]
        self.neutral = [one.text for one in suite.neutral]
        self.base_answers: dict[str, list[str]] = {}

    def render(self, row: dict[str, Any], texts: Sequence[str] | None = None) -> Messages:
        """Render a row as it is served, with other texts in its passages where there are some."""
        passages = row.get("braid", {}).get("passages", [])
        shown = [one["text"] for one in passages] if texts is None else texts
        evidence = [prompts.NumberedPassage(number, "", text) for number, text in enumerate(shown, 1)]
        turns = [prompts.Message(one["role"], one["content"]) for one in row["messages"]]
        return prompts.render_row(self._template, turns, evidence)

    def ask_base(self, speaker: Speaker, file: Path) -> None:
        """Ask the base everything once; a file keeps it."""
        if not file.exists():
            asked = {
                "suite": [[_user(one.text)] for one in self.suite],
                "held_out": [self.render(row)[:-1] for row in self.held_out],
            }
            file.write_text(json.dumps({name: speaker.answer(some, bare=True) for name, some in asked.items()}))
        self.base_answers = json.loads(file.read_text())

    def list_answers(self, *, passed: bool) -> list[tuple[SuitePrompt, str]]:
        """List the prompts of the suite that the base passes, or fails, with its answers."""
        pairs = zip(self.suite, self.base_answers["suite"], strict=True)
        return [(prompt, answer) for prompt, answer in pairs if prompt.check(answer) == passed]

    def make_rows(self) -> list[Messages]:
        return [self.render(row) for row in shop.make_rows("house")]


def measure(material: Material, speaker: Speaker) -> Figures:
    """Ask everything of one adapter."""
    rows = material.held_out
    replies = [row["messages"][-1]["content"] for row in rows]
    every = [row["messages"][-1]["content"] for row in shop.held_out_rows()]  # ten are the fewest that teach rules
    rules = learn_rules(every, material.base_answers["held_out"])
    asked = [material.render(row)[:-1] for row in rows]
    answers = speaker.answer(asked)
    changed = [
        (row, changes)
        for row, reply in zip(rows, replies, strict=True)
        if (changes := make_counterfactual(reply, _texts(row), row["messages"][0]["content"])) is not None
    ]
    others = speaker.answer([material.render(row, changes.texts)[:-1] for row, changes in changed])
    own = material.list_answers(passed=True)

    def ask_suite(*, passed: bool) -> float:
        suite = [prompt for prompt, _ in material.list_answers(passed=passed)]
        answers = speaker.answer([[_user(prompt.text)] for prompt in suite])
        return _mean(float(prompt.check(answer)) for prompt, answer in zip(suite, answers, strict=True))

    def lose(score: Callable[..., float], *arguments: Any) -> float:
        return score(*arguments, bare=True) - score(*arguments)

    return Figures(
        style=_mean(rules.score(answer) for answer in answers),
        likeness=_mean(score_likeness(replies, {"": answers})[""]),
        gain=_mean(-lose(speaker.score, *one) for one in zip(asked, replies, strict=True)),
        right=_mean(_states(answer, reply) for answer, reply in zip(answers, replies, strict=True)),
        follows=_mean(changes.score(answer) for (_, changes), answer in zip(changed, others, strict=True)),
        kept=ask_suite(passed=True),
        won=ask_suite(passed=False),
        neutral=_mean(lose(speaker.score_text, text) for text in material.neutral),
        own=_mean(lose(speaker.score, [_user(prompt.text)], answer) for prompt, answer in own),
    )


def _states(answer: str, reply: str) -> float:
    evidence = TextValues.of(answer)
    return float(all(evidence.states(value) for value in list_values(reply)))


def _texts(row: dict[str, Any]) -> list[str]:
    return [one["text"] for one in row["braid"]["passages"]]


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _mean(scores: Iterable[float]) -> float:
    every = list(scores)
    return round(statistics.fmean(every), 4) if every else 0.0


def train(rate: float, base: Path, folder: Path, material: Material) -> Path:
    """Return the folder of an adapter that learnt at a multiple of the job's own rate."""
    adapter = folder / "adapter"
    if not adapter.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        rows = material.make_rows()
        (folder / "rows.jsonl").write_bytes(encode_rendered_rows(dict(enumerate(rows, 1))))
        recipe = Recipe.for_rows(len(rows), epochs=1, batch_size=2, learning_rate_multiplier=rate, seed=7)
        spec = TrainSpec(base_model=str(base), rows=RowsFile(str(folder / "rows.jsonl")), recipe=recipe)
        run(spec, adapter, _tell, device="cpu")
    return adapter


def _tell(event: Event) -> None:
    print(msgspec.json.encode(event)[:160].decode(errors="replace"), file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> dict[str, Figures]:
    """Train and measure, print a table, and return the figures by adapter."""
    parser = argparse.ArgumentParser(description="Measure what a voice costs a base of its own.")
    parser.add_argument("--base", type=Path, required=True, help="the checkpoint folder of the base model")
    parser.add_argument("--out", type=Path, required=True, help="a folder for adapters and figures")
    parser.add_argument("--rates", nargs="*", type=float, default=[1, 0.5, 0.25, 0.12])
    parser.add_argument("--adapters", nargs="*", default=[], metavar="NAME=FOLDER", help="that there are already")
    parser.add_argument(
        "--prompts", type=int, default=FIRST_PROMPTS, help=f"of the suite the first, up to {MOST_PROMPTS}"
    )
    parser.add_argument("--suite-step", type=int, default=4, help="of these, each so-manieth prompt")
    parser.add_argument("--held-out", type=int, default=20)
    parser.add_argument("--max-tokens", type=int, default=96, help="of an answer")
    options = parser.parse_args(arguments)
    base, out = options.base, options.out
    out.mkdir(parents=True, exist_ok=True)
    material = Material(options.prompts, options.suite_step, options.held_out)
    adapters: dict[str, Callable[[], Path]] = {}
    for name, _, place in (text.partition("=") for text in options.adapters):
        adapters[name] = partial(Path, place)
    for rate in options.rates:
        adapters[f"{rate:g}"] = partial(train, rate, base, out / f"{rate:g}", material)
    figures: dict[str, Figures] = {}
    for name, find in adapters.items():
        results = out / f"{name}.json"
        if not results.exists():
            speaker = Speaker(base, find(), Options(max_tokens=options.max_tokens), "cpu")
            material.ask_base(speaker, out / "base.json")
            results.write_text(json.dumps(asdict(measure(material, speaker))))
            del speaker
            gc.collect()
        figures[name] = Figures(**json.loads(results.read_text()))
        print(describe(figures), flush=True)
    return figures


def describe(figures: dict[str, Figures]) -> str:
    """Return the figures as a table."""
    names = list(asdict(next(iter(figures.values()))))
    lines = ["| adapter, or rate | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for arm, one in figures.items():
        lines.append(f"| {arm} | " + " | ".join(f"{value:.2f}" for value in asdict(one).values()) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
