"""An engine's tokens per second: `python -m tests.bench.engine_streams --url http://127.0.0.1:8081 [--streams 8]`.

The engine is asked itself, as the gateway asks it: for its base model, for its first adapter, and for all its models by
turns; first for answers of some length after short prompts, then for a single token after long ones. The prompts are of
words in an order that never comes again, so that no cache has them.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

__all__ = ["Speed", "ask_in_turns", "describe"]

_WORDS = ("sea", "ship", "sand", "blue", "red", "tea", "iron", "river", "wind", "stone")
_SHORT_PROMPT, _LONG_PROMPT = 10, 170  # words
_ANSWER = 40  # tokens


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second over all streams."""

    prompt: float
    answer: float


async def ask_in_turns(
    client: httpx2.AsyncClient, models: Sequence[str], *, requests: int, streams: int, words: int, tokens: int
) -> Speed:
    """Ask for so many answers, `streams` at a time, each of the next model; the first one, which isn't counted, alone.

    Args:
        client: Of an engine.
        models: By name.
        requests: How many.
        streams: Requests at the same time.
        words: Of each prompt.
        tokens: Of each answer, which never ends earlier.
    """
    slots = asyncio.Semaphore(streams)

    async def ask(number: int) -> dict[str, int]:
        body: dict[str, Any] = {
            "model": models[number % len(models)],
            "messages": [{"role": "user", "content": " ".join(random.choice(_WORDS) for _ in range(words))}],
            "temperature": 0,
            "max_tokens": tokens,
            "ignore_eos": True,
        }
        async with slots:
            answer = await client.post("/v1/chat/completions", json=body)
        return answer.raise_for_status().json()["usage"]

    await ask(0)
    started = time.perf_counter()
    usages = await asyncio.gather(*map(ask, range(requests)))
    seconds = time.perf_counter() - started
    prompt, answer = (sum(usage[name] for usage in usages) for name in ("prompt_tokens", "completion_tokens"))
    return Speed(prompt / seconds, answer / seconds)


async def describe(url: str, *, rounds: int, streams: int) -> str:
    """Measure the mixes by turns; return a line for each of them and round."""
    lines: list[str] = []
    async with httpx2.AsyncClient(base_url=url, timeout=600) as client:
        models = [model["id"] for model in (await client.get("/v1/models")).raise_for_status().json()["data"]]
        mixes = {"base": models[:1], "an adapter": models[1:2], f"{len(models)} models by turns": models}
        for _ in range(rounds):
            for name, mix in mixes.items():
                if not mix:
                    continue
                options: dict[str, Any] = {"requests": 2 * streams, "streams": streams}
                writing = await ask_in_turns(client, mix, words=_SHORT_PROMPT, tokens=_ANSWER, **options)
                reading = await ask_in_turns(client, mix, words=_LONG_PROMPT, tokens=1, **options)
                lines.append(f"{name}: {writing.answer:.1f} tokens/s written, {reading.prompt:.0f} read")
    return "\n".join(lines)


def _main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", required=True, help="of the engine, not of the gateway")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--streams", type=int, default=8)
    options = parser.parse_args()
    sys.stdout.write(asyncio.run(describe(options.url, rounds=options.rounds, streams=options.streams)) + "\n")


if __name__ == "__main__":
    _main()
