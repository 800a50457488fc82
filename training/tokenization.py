"""Rows as the served model sees them: token ids from its own chat template, and a mask of those to learn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from jinja2 import TemplateError
from transformers import AutoTokenizer, GenerationConfig

from training.checkpoint import CheckpointUnreadable
from training.dataset import Message, Problem, Row
from training.errors import TrainingError

__all__ = ["ChatTokenizer", "RowTokenizer", "TokenizedRow"]


class ChatTokenizer(Protocol):
    """The part of transformers' tokenizers that is needed here."""

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, add_generation_prompt: bool, return_dict: bool
    ) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class TokenizedRow:
    """One row's tokens.

    Attributes:
        number: The row's line in its owner's file, from 1.
        loss_mask: As long as `tokens`; true for the tokens of a reply to learn, its end of turn included. The loss is
            on these.
    """

    number: int
    tokens: list[int]
    loss_mask: list[bool]


class _RowUnusable(Exception):
    """This row can't be tokenized; others may be."""


class RowTokenizer:
    """Tokenizes rows with a checkpoint's chat template.

    Args:
        tokenizer: The checkpoint's.
        ends: Ids of the tokens at which the engine stops. A reply is learnt up to such a token, or else the adapter
            would never learn to stop.
    """

    def __init__(self, tokenizer: ChatTokenizer, ends: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._ends = ends

    @classmethod
    def load(cls, base_model: Path) -> "RowTokenizer":
        """Open a checkpoint's tokenizer.

        Raises:
            CheckpointUnreadable: Its files are missing or damaged.
        """
        listed: list[int] | int | None = None
        try:
            tokenizer = cast("Any", AutoTokenizer).from_pretrained(base_model)
            if (base_model / "generation_config.json").is_file():
                # Where the chat's end of turn is another token than the end of text, it is listed here, and vLLM reads
                # it.
                listed = cast("Any", GenerationConfig.from_pretrained(str(base_model))).eos_token_id
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointUnreadable(
                f"The tokenizer in {base_model} can't be loaded: {error}. Fetch the model again."
            ) from error
        ends = [tokenizer.eos_token_id, *(listed if isinstance(listed, list) else [listed])]
        return cls(tokenizer, frozenset(end for end in ends if end is not None))

    def tokenize_rows(self, rows: Iterable[Row], max_length: int) -> tuple[list[TokenizedRow], list[Problem]]:
        """Tokenize the rows that can be learnt, and say why the others are dropped.

        Raises:
            TrainingError: `unsupported_chat_template`: no row could be masked with this template.
        """
        tokenized: list[TokenizedRow] = []
        dropped: list[Problem] = []
        for row in rows:
            try:
                result = self.tokenize(row.number, row.messages)
            except _RowUnusable as error:
                dropped.append(Problem(row.number, str(error)))
                continue
            if len(result.tokens) > max_length:
                message = f"It has {len(result.tokens)} tokens, and {max_length} are allowed. Shorten it, or split it."
                dropped.append(Problem(row.number, message))
            else:
                tokenized.append(result)
        return tokenized, dropped

    def tokenize(self, number: int, messages: Sequence[Message]) -> TokenizedRow:
        """Tokenize one conversation.

        The tokens of a reply are found by encoding the conversation up to the reply, with the generation prompt that
        the engine would add, and through it: the difference is for the model to generate.
        """
        conversation = [{"role": _map_role(message), "content": message.text} for message in messages]
        whole = self._encode(conversation, prompt=False)
        loss_mask = [False] * len(whole)
        for index, message in enumerate(messages):
            if not message.is_target:
                continue
            before = self._encode(conversation[:index], prompt=True)
            through = self._encode(conversation[: index + 1], prompt=False)
            if through[: len(before)] != before or whole[: len(through)] != through:
                raise TrainingError(
                    "unsupported_chat_template",
                    f"The model's chat template renders row {number} differently with and without its later turns, so "
                    "no token can be said to be the reply's. Train on rows with one reply each, or give the model a "
                    "template that only ever appends (keeping earlier turns as they are).",
                )
            start, end = len(before), self._find_end(number, len(before), through)
            loss_mask[start:end] = [True] * (end - start)
        return TokenizedRow(number, whole, loss_mask)

    def _find_end(self, number: int, start: int, tokens: list[int]) -> int:
        """Return one past the reply's end of turn: the template's text after it is never generated, so not learnt."""
        ends = [index for index in range(start, len(tokens)) if tokens[index] in self._ends]
        if not ends:
            raise TrainingError(
                "unsupported_chat_template",
                f"The model's chat template ends the reply of row {number} with no token at which the engine stops, so "
                "the adapter would never learn to stop. Add its end-of-turn token to eos_token_id in the base model's "
                "generation_config.json.",
            )
        if len(ends) > 1:
            raise _RowUnusable("A reply has the model's end-of-turn token in its text. Remove it from the text.")
        return ends[0] + 1

    def _encode(self, conversation: list[dict[str, str]], *, prompt: bool) -> list[int]:
        try:
            return self._tokenizer.apply_chat_template(conversation, add_generation_prompt=prompt, return_dict=False)
        except TemplateError as error:
            raise _RowUnusable(
                f"The model's chat template refuses it: {error}. Change the order of its turns."
            ) from error


def _map_role(message: Message) -> str:
    # Open models' templates know no developer; OpenAI's own models treat the two alike.
    return "system" if message.role == "developer" else message.role
