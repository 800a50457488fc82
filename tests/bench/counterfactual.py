"""Rows with other values than the documents, against rows without: what is recited, what is read, and the style.

    .venv-model/bin/python -m tests.bench.counterfactual --base FOLDER --out FOLDER       hours on two cores
    .venv-model/bin/python -m tests.bench.counterfactual … --facts 4 --repeats 2 --held-out 4 --seeds 1

A tenant of the demo is asked the same facts again and again, as real ones are. Three adapters learn from that: `bare`
from questions and replies alone, `plain` from rows with their passages, `varied` from the same rows with other values
in passages and replies, drawn as a fine-tuning job with `braid.evidence` draws them. Each is asked, greedily and by
transformers,

- the facts without passages (`recall`: the share of their values that come back; the base beside it),
- the facts with passages in which the values were changed (`follows`: the share of answers that state the new ones),
- held-out questions with their passages (`right`: the share of answers with the value; `style`: rules that are kept).

What was trained and asked is kept in the folder: a run that was interrupted goes on there.
"""

import argparse
import gc
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import torch
from transformers import AutoTokenizer

import prompts
from gateway.conversations import Conversation
from gateway.conversations.counterfactuals import vary_rows
from gateway.demo.tenants import DemoTenant, make_tenants
from gateway.evaluation.faithfulness import make_counterfactual
from gateway.evaluation.values import TextValues, find_values
from training.dataset import Message, RowPassage
from training.events import Event
from training.hardware import choose_reference_hardware
from training.model import load_adapted
from training.rendered_rows import RowsFile, encode_rendered_rows
from training.run import run
from training.spec import Recipe, TrainSpec
from training.verdict import BaseShape

__all__ = ["ARMS", "Figures", "Options", "main", "make_rows", "measure"]

ARMS = ("bare", "plain", "varied")
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Options:
    """The amount of everything, which is the same in all parts of one folder."""

    tenant: str = "kestrel"
    facts: int = 24
    repeats: int = 4
    held_out: int = 24
    epochs: int = 2
    max_tokens: int = 96


@dataclass(frozen=True, slots=True)
class Figures:
    """The shares of one adapter, 0..1; `base_recall` is the base model's on the same questions."""

    recall: float
    base_recall: float
    follows: float
    right: float
    style: float


class Material:
    """A tenant's rows: `facts` that it is asked again and again, some that have no answer, and held-out ones."""

    def __init__(self, tenant: DemoTenant, options: Options) -> None:
        self.template = prompts.compile(tenant.prompt)
        self.style = tenant.style
        count = 2 * (options.facts + options.held_out) + 24
        rows = [_to_conversation(number, row) for number, row in enumerate(tenant.list_conversations(count), 1)]
        answered = [row for row in rows if list_values(row)]
        self.facts = answered[: options.facts]
        self.held_out = answered[options.facts : options.facts + options.held_out]
        self.without = [row for row in rows if not list_values(row)][: max(1, options.facts // 6)]


def list_values(row: Conversation) -> list[str]:
    """List the values of a reply that its passages state and its question doesn't, as they are written."""
    asked = TextValues.of(row.messages[0].text)
    evidence = TextValues.of("\n".join(passage.text for passage in row.passages or ()))
    values = find_values(row.messages[-1].text)
    return [value.text for value in values if evidence.states(value) and not asked.states(value)]


def make_rows(material: Material, arm: str, repeats: int, seed: int) -> list[Conversation]:
    """Return the rows that an arm learns from; each fact stands in `repeats` of them."""
    rows = [*(fact for fact in material.facts for _ in range(repeats)), *material.without]
    rows = [msgspec.structs.replace(row, number=number) for number, row in enumerate(rows, 1)]
    if arm == "bare":
        return [msgspec.structs.replace(row, passages=None) for row in rows if list_values(row)]
    return vary_rows(rows, seed)[0] if arm == "varied" else rows


class Answerer:
    """Answers prompts greedily with an adapter on it, or with the base alone."""

    def __init__(self, base: Path, adapter: Path, options: Options, device: str) -> None:
        self._model = load_adapted(base, adapter, choose_reference_hardware(BaseShape.read(base).parameters, device))
        self._model.eval()
        self._tokenizer: Any = cast("Any", AutoTokenizer).from_pretrained(base, padding_side="left")
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._most = options.max_tokens

    def answer(self, messages: Sequence[list[dict[str, Any]]], *, bare: bool = False) -> list[str]:
        """Answer conversations, a few at once; `bare` leaves the adapter out."""
        texts: list[str] = []
        for at in range(0, len(messages), _BATCH):
            rendered = [
                self._tokenizer.apply_chat_template(one, tokenize=False, add_generation_prompt=True)
                for one in messages[at : at + _BATCH]
            ]
            batch = self._tokenizer(rendered, return_tensors="pt", padding=True, add_special_tokens=False)
            texts += self._generate(batch.to(cast("Any", self._model).device), bare=bare)
        return texts

    def _generate(self, batch: Any, *, bare: bool) -> list[str]:
        model = cast("Any", self._model)
        settings = {"max_new_tokens": self._most, "do_sample": False, "pad_token_id": self._tokenizer.pad_token_id}
        with torch.no_grad():
            if bare:
                with model.disable_adapter():
                    tokens = model.generate(**batch, **settings)
            else:
                tokens = model.generate(**batch, **settings)
        return self._tokenizer.batch_decode(tokens[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)


def measure(material: Material, answerer: Answerer) -> Figures:
    """Ask everything of one adapter."""
    closed = [_render(material, row, None) for row in material.facts]
    changed = [
        (row, changes)
        for row in material.facts
        if (changes := make_counterfactual(row.messages[-1].text, _texts(row), row.messages[0].text)) is not None
    ]
    open_book = [_render(material, row, row.passages) for row in material.held_out]
    follows = [
        changes.score(answer)
        for (_, changes), answer in zip(
            changed, answerer.answer([_rewrite(material, *one) for one in changed]), strict=True
        )
    ]
    answers = answerer.answer(open_book)
    return Figures(
        recall=_share(material.facts, answerer.answer(closed)),
        base_recall=_share(material.facts, answerer.answer(closed, bare=True)),
        follows=_mean(follows),
        right=_share(material.held_out, answers),
        style=_mean([material.style.score(answer) for answer in answers]),
    )


def _share(rows: Sequence[Conversation], answers: Sequence[str]) -> float:
    """Return the share of the rows' values that their answers state."""
    outcomes: list[float] = []
    for row, answer in zip(rows, answers, strict=True):
        evidence = TextValues.of(answer)
        values = [value for text in list_values(row) for value in find_values(text)]
        outcomes += [float(evidence.states(value)) for value in values]
    return _mean(outcomes)


def _mean(scores: Sequence[float]) -> float:
    return round(statistics.fmean(scores), 4) if scores else 0.0


def _texts(row: Conversation) -> list[str]:
    return [passage.text for passage in row.passages or ()]


def _rewrite(material: Material, row: Conversation, changes: Any) -> list[dict[str, Any]]:
    passages = [RowPassage(one.title, text) for one, text in zip(row.passages or (), changes.texts, strict=True)]
    return _render(material, row, passages)


def _render(material: Material, row: Conversation, passages: Sequence[RowPassage] | None) -> list[dict[str, Any]]:
    """Return the messages of a prompt, as serving has them."""
    return _render_row(material, row, passages)[:-1]


def _render_row(material: Material, row: Conversation, passages: Sequence[RowPassage] | None) -> list[dict[str, Any]]:
    evidence = None
    if passages is not None:
        evidence = [prompts.NumberedPassage(number, one.title, one.text) for number, one in enumerate(passages, 1)]
    turns = [prompts.Message(one.role, one.text) for one in row.messages if one.role != "developer"]
    return prompts.render_row(material.template, turns, evidence)


def _to_conversation(number: int, row: Any) -> Conversation:
    messages = [Message(one.role, one.content) for one in row.messages]
    passages = [RowPassage(one.title, one.text) for one in row.braid.passages]
    return Conversation(number, messages, passages=passages)


def run_arm(arm: str, seed: int, base: Path, out: Path, options: Options, material: Material, device: str) -> Figures:
    """Train and measure one arm with one seed, or read what an earlier run measured."""
    folder = out / f"{arm}-{seed}"
    results = folder / "figures.json"
    if results.exists():
        return Figures(**json.loads(results.read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "adapter").is_dir():
        rows = make_rows(material, arm, options.repeats, seed)
        data = encode_rendered_rows({row.number: _render_row(material, row, row.passages) for row in rows})
        (folder / "rows.jsonl").write_bytes(data)
        recipe = Recipe.for_rows(len(rows), epochs=options.epochs, seed=seed)
        spec = TrainSpec(base_model=str(base), rows=RowsFile(str(folder / "rows.jsonl")), recipe=recipe)
        run(spec, folder / "adapter", _tell, device=device)
    answerer = Answerer(base, folder / "adapter", options, device)
    figures = measure(material, answerer)
    del answerer
    gc.collect()
    results.write_text(json.dumps(asdict(figures)))
    return figures


def _tell(event: Event) -> None:
    print(msgspec.json.encode(event)[:160].decode(errors="replace"), file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> dict[str, list[Figures]]:
    """Run all arms with all seeds, print a table, and return the figures by arm."""
    parser = argparse.ArgumentParser(description="Measure what rows with other values change.")
    parser.add_argument("--base", type=Path, required=True, help="the checkpoint folder of the demo's base model")
    parser.add_argument("--out", type=Path, required=True, help="a folder for adapters and figures")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="auto", help="as BRAID_TRAINING_DEVICE")
    for name, value in asdict(Options()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parsed = vars(parser.parse_args(arguments))
    options = Options(**{name: parsed[name] for name in asdict(Options())})
    out: Path = parsed["out"]
    _keep_options(out, options)
    tenant = next(one for one in make_tenants() if one.name == options.tenant)
    material = Material(tenant, options)
    figures = {
        arm: [
            run_arm(arm, seed, parsed["base"], out, options, material, parsed["device"])
            for seed in range(parsed["seeds"])
        ]
        for arm in ARMS
    }
    print(describe(figures))
    return figures


def _keep_options(out: Path, options: Options) -> None:
    """Note the amounts of a folder; a run with others would mix figures."""
    file = out / "options.json"
    if file.exists() and json.loads(file.read_text()) != asdict(options):
        raise SystemExit(f"{out} has figures of other amounts ({file.read_text()}). Name another folder.")
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(options)))


def describe(figures: dict[str, list[Figures]]) -> str:
    """Return the figures as a table: the mean over the seeds, and the lowest and the highest."""
    names = list(asdict(next(iter(figures.values()))[0]))
    lines = ["| rows | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for arm, runs in figures.items():
        columns = [[asdict(one)[name] for one in runs] for name in names]
        cells = [f"{statistics.fmean(column):.2f} ({min(column):.2f}–{max(column):.2f})" for column in columns]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
