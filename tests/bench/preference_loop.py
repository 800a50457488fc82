"""The preference loop by generation: a model's own replies, a rule that votes, DPO, and the win rate on other prompts.

Of two replies the rule prefers the shorter one. Both sides of every comparison are sampled at temperature 1 with seeds
of their own; prompts of the comparison afterwards have topics that no pair had.

python -m tests.bench.preference_loop --base FOLDER [--pairs 40] [--held-out 48] [--epochs 3] [--json FILE]
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from training.hardware import Hardware
from training.model import load_adapted, load_base
from training.rendered_rows import RowsFile
from training.run import run
from training.spec import Recipe, TrainSpec

CPU = Hardware("cpu", torch.float32)
MOST_TOKENS = 48
AT_ONCE = 16
FORMS = ("Why do people like {}?", "What is {} good for?", "Tell me something about {}.", "What should I know of {}?")
TOPICS = (
    "tea", "sailing", "maps", "old bridges", "honey", "clocks", "rain", "chess", "gardens", "trains", "bread", "owls",
    "candles", "mountains", "libraries", "bicycles", "salt", "lighthouses", "markets", "wool", "violins", "rivers",
    "stamps", "apples", "kites", "snow", "museums", "coffee", "boats", "stars", "letters", "soap", "ladders", "bees",
    "harbours", "paper", "drums", "forests", "mirrors", "tents", "cheese", "sand", "bells", "foxes", "paint", "wells",
    "gloves", "fountains",
)  # fmt: skip
Messages = list[dict[str, str]]


def list_prompts(topics: Sequence[str]) -> list[Messages]:
    system = {"role": "system", "content": "Answer in one or two sentences."}
    return [[system, {"role": "user", "content": form.format(topic)}] for topic in topics for form in FORMS]


def sample(model: Any, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Messages], seed: int) -> list[str]:
    """Return a reply to each prompt, "" where it was cut off."""
    replies: list[str] = []
    torch.manual_seed(seed)
    model.eval()
    for start in range(0, len(prompts), AT_ONCE):
        texts = [
            cast("str", tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True))
            for prompt in prompts[start : start + AT_ONCE]
        ]
        batch = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)
        with torch.no_grad():
            out = model.generate(
                **batch, max_new_tokens=MOST_TOKENS, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
        for tokens in out[:, batch["input_ids"].shape[1] :]:
            whole = tokenizer.eos_token_id in tokens.tolist()
            replies.append(tokenizer.decode(tokens, skip_special_tokens=True).strip() if whole else "")
    return replies


def make_rows(prompts: Sequence[Messages], first: Sequence[str], second: Sequence[str], most: int) -> list[Any]:
    """Return rows of preferences as votes by the rule make them of whole replies that differ."""
    rows: list[Any] = []
    for prompt, one, other in zip(prompts, first, second, strict=True):
        if one and other and len(one) != len(other):
            better, worse = sorted((one, other), key=len)
            outputs = {"preferred_output": better, "non_preferred_output": worse}
            turns = {name: [{"role": "assistant", "content": text}] for name, text in outputs.items()}
            rows.append({"input": {"messages": prompt}, **turns})
    return rows[:most]


def measure_wins(replies: Sequence[str], baseline: Sequence[str]) -> dict[str, float]:
    """Return the share of decided prompts at which the first reply is shorter, with Wilson's 95 % interval.

    One that was cut off is longer than any whole one; two of those decide nothing.
    """
    lengths = [(len(one) or 10**9, len(other) or 10**9) for one, other in zip(replies, baseline, strict=True)]
    decided = [one < other for one, other in lengths if one != other]
    n, p, z = len(decided), sum(decided) / len(decided), 1.96
    centre, spread = (p + z * z / (2 * n)), 1 + z * z / n
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return {"value": p, "low": (centre - half) / spread, "high": (centre + half) / spread, "n": n}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--held-out", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tokenizer = cast("PreTrainedTokenizerBase", cast("Any", AutoTokenizer).from_pretrained(options.base))
    base, started = cast("Any", load_base(options.base, CPU)), time.perf_counter()
    apart = len(TOPICS) - options.held_out // len(FORMS)
    prompts, held_out = list_prompts(TOPICS[:apart]), list_prompts(TOPICS[apart:])
    first, second = (sample(base, tokenizer, prompts, seed) for seed in (1, 2))
    rows = make_rows(prompts, first, second, options.pairs)
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "rows.jsonl", Path(folder) / "out"
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        recipe = Recipe(method="dpo", epochs=options.epochs, batch_size=4, learning_rate=2e-4)
        trained = time.perf_counter()
        run(TrainSpec(base_model=str(options.base), rows=RowsFile(str(file)), recipe=recipe), out, lambda _: None)
        seconds = time.perf_counter() - trained
        adapted = load_adapted(options.base, out, CPU)
    baseline = sample(base, tokenizer, held_out, 3)
    report = {
        "pairs": len(rows),
        "base_against_itself": measure_wins(sample(base, tokenizer, held_out, 4), baseline),
        "adapter_against_base": measure_wins(sample(adapted, tokenizer, held_out, 4), baseline),
        "training_seconds": round(seconds),
        "seconds": round(time.perf_counter() - started),
    }
    text = json.dumps(report, indent=1)
    if options.json:
        options.json.write_text(text)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
