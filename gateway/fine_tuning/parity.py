"""The proof that rows are what serving sends: a few prompts, token by token as an engine makes them of the request.

Rows are rendered by what renders requests (`rows`). What may still differ is the engine's chat template, its tokenizer,
and the form in which the gateway sends the messages. A row that differs would teach prompts that nobody sends.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from gateway.engines import Engine, EngineError, EnginePool
from gateway.engines.base_traits import BaseTraits
from gateway.jobs import JobFailed
from training.chat_format import fold_system
from training.dataset import Message, Row
from training.events import PromptSamples, TokenizedPrompt
from training.manifest import MANIFEST_FILE, Manifest, Parity
from training.rendered_rows import RowsFile, read_rendered_preferences, read_rendered_rows

__all__ = ["ParityProof", "write_parity"]

_SHOWN_TOKENS = 4


class ParityProof:
    """Compares the prompts of training runs.

    Args:
        pool: Its engines serve the adapters.
        traits: Of the base, by which requests are formed.
    """

    def __init__(self, pool: EnginePool, traits: BaseTraits) -> None:
        self._pool = pool
        self._traits = traits

    async def compare(self, rows: RowsFile, method: Literal["sft", "dpo"], samples: PromptSamples) -> Parity:
        """Ask an engine for the tokens of each prompt.

        Raises:
            JobFailed: One differs; the message shows the first token that does.
            EngineError: No engine can be asked now.
        """
        conversations = await asyncio.to_thread(_read_prompts, rows, method, samples.prompts)
        await self._traits.settle()
        with self._pool.pick(None) as lease:
            for prompt in samples.prompts:
                body = self._make_body(conversations[prompt.row], samples.chat_template_kwargs)
                engine_tokens = await lease.engine.tokenize_prompt(self._pool.base_model or "", body)
                if engine_tokens != prompt.tokens:
                    raise await self._refuse(lease.engine, prompt, engine_tokens)
        return Parity(
            rows=[prompt.row for prompt in samples.prompts],
            equal=len(samples.prompts),
            tokens=sum(len(prompt.tokens) for prompt in samples.prompts),
        )

    def _make_body(self, messages: Sequence[dict[str, Any]], chat_template_kwargs: dict[str, Any]) -> bytes:
        """Return the part of a request that decides its prompt, as `answering.compose` makes it."""
        turns = fold_system(messages) if self._traits.folds_system else list(messages)
        body: dict[str, Any] = {"messages": turns}
        if chat_template_kwargs:
            body["chat_template_kwargs"] = chat_template_kwargs
        return msgspec.json.encode(body)

    async def _refuse(self, engine: Engine, prompt: TokenizedPrompt, engine_tokens: Sequence[int]) -> JobFailed:
        place = _find_difference(prompt.tokens, engine_tokens)
        own, other = [await self._show(engine, tokens, place) for tokens in (prompt.tokens, engine_tokens)]
        return JobFailed(
            "parity_failed",
            f"The prompt of row {prompt.row} isn't the one that the engine makes of the same request: its token "
            f"{place + 1} is {own} in training, and {other} in the engine. An adapter would learn prompts that nobody "
            "sends. Tell the operator: the engine's chat template or tokenizer isn't that of the base model's files.",
        )

    async def _show(self, engine: Engine, tokens: Sequence[int], place: int) -> str:
        """Return a token and the text that it begins, where the engine knows a text of it."""
        some = tokens[place : place + _SHOWN_TOKENS]
        if not some:
            return "missing"
        try:
            text = await engine.detokenize(self._pool.base_model or "", some)
        except EngineError:  # of another tokenizer it may not have so many
            return str(some[0])
        return f"{some[0]} ({text!r}…)"


def write_parity(folder: Path, manifest: Manifest, parity: Parity | None) -> Manifest:
    """Write the proof into the manifest of weights that were made of the compared rows, and return it as it is now."""
    proven = msgspec.structs.replace(manifest, parity=parity)
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(proven))
    return proven


def _find_difference(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (own, theirs) in pairs if own != theirs), min(len(one), len(other)))


def _read_prompts(
    file: RowsFile, method: Literal["sft", "dpo"], prompts: Sequence[TokenizedPrompt]
) -> dict[int, list[dict[str, Any]]]:
    """Return the messages before the last learnt reply of some rows, by their numbers."""
    code = "invalid_training_file"
    rows: list[Row]
    if method == "dpo":
        rows = [row.better for row in read_rendered_preferences(file, code=code).rows]
    else:
        rows = read_rendered_rows(file, code=code).rows
    by_number = {row.number: row.messages for row in rows}
    return {prompt.row: _list_before_reply(by_number[prompt.row]) for prompt in prompts}


def _list_before_reply(messages: Sequence[Message]) -> list[dict[str, Any]]:
    last = max(place for place, message in enumerate(messages) if message.is_target)
    return [_to_request(message) for message in messages[:last]]


def _to_request(message: Message) -> dict[str, Any]:
    role = "system" if message.role == "developer" else message.role
    members = {"role": role, "content": message.text}
    return members if message.name is None else {**members, "name": message.name}
