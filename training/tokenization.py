"""Rows as the served model sees them: token ids from its own chat template, and a mask of those to learn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from jinja2 import TemplateError
from msgspec.structs import replace
from transformers import AutoTokenizer

from training.chat_format import ChatFormat, read_chat_format
from training.checkpoint import CheckpointUnreadable, read_end_ids
from training.dataset import Message, Problem, Row
from training.errors import TrainingError
from training.printed_reply import describe_addition, describe_change, find_rest
from training.turn import LastReply, TemplateUnlearnable, split_turn

__all__ = ["ChatTokenizer", "RowTokenizer", "TokenizedRow"]

_ANCHOR = "\ue000"
"""Of the private use area: no vocabulary has a longer token with it."""
_PLAIN_REPLY = "Yes."


class ChatTokenizer(Protocol):
    """The part of transformers' tokenizers that is needed here."""

    def apply_chat_template(
        self, conversation: list[dict[str, Any]], *, add_generation_prompt: bool, tokenize: bool, **variables: Any
    ) -> str: ...

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...

    def decode(self, token_ids: list[int], *, clean_up_tokenization_spaces: bool) -> str: ...


@dataclass(frozen=True, slots=True)
class TokenizedRow:
    """One row's tokens, or those up to some of its replies.

    Attributes:
        number: The row's line in its owner's file, from 1.
        loss_mask: As long as `tokens`; true for the tokens of a reply to learn, its end of turn included. The loss is
            on these.
    """

    number: int
    tokens: list[int]
    loss_mask: list[bool]

    @property
    def length(self) -> int:
        """The tokens that go through the model."""
        return len(self.tokens)

    @property
    def width(self) -> int:
        """The same with the padding inside the row: it has none."""
        return len(self.tokens)

    @property
    def replies(self) -> int:
        """The reply tokens to learn."""
        return sum(self.loss_mask)

    @property
    def weight(self) -> int:
        """The row's weight in a mean over rows: each reply token counts once."""
        return sum(self.loss_mask)


class _RowUnusable(Exception):
    """This row can't be tokenized; others may be."""


class RowTokenizer:
    """Tokenizes rows with a checkpoint's chat template.

    Args:
        tokenizer: The checkpoint's.
        ends: Ids of the tokens at which the engine stops. A reply is learnt up to such a token, or else the adapter
            would never learn to stop.
        format: The form that the checkpoint's chat template asks for.
    """

    def __init__(self, tokenizer: ChatTokenizer, ends: frozenset[int], format: ChatFormat | None = None) -> None:
        self._tokenizer = tokenizer
        self._ends = ends
        self.format = format or ChatFormat()

    @classmethod
    def load(cls, base_model: Path, variables: Mapping[str, Any] | None = None) -> "RowTokenizer":
        """Open a checkpoint's tokenizer.

        Args:
            base_model: The checkpoint folder.
            variables: The values of the chat template's own names in every request for the adapter; None takes those
                that the template asks for on this day.

        Raises:
            CheckpointUnreadable: Its files are missing or damaged.
            TrainingError: `unsupported_chat_template`: no reply can be learnt with its template.
        """
        format = read_chat_format(base_model)
        if variables is not None:
            format = replace(format, variables=dict(variables))
        try:
            tokenizer = cast("Any", AutoTokenizer).from_pretrained(base_model)
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointUnreadable(
                f"The tokenizer in {base_model} can't be loaded: {error}. Fetch the model again."
            ) from error
        ends = {tokenizer.eos_token_id, *read_end_ids(base_model)}
        return cls(tokenizer, frozenset(end for end in ends if end is not None), format)

    def tokenize_rows(self, rows: Iterable[Row], max_length: int) -> tuple[list[TokenizedRow], list[Problem]]:
        """Tokenize the rows that can be learnt, and say why the others are dropped.

        Raises:
            TrainingError: `unsupported_chat_template`: no row could be masked with this template.
        """
        tokenized_rows: list[TokenizedRow] = []
        dropped: list[Problem] = []
        unsupported: TrainingError | None = None
        for row in rows:
            try:
                results = self.tokenize(row.number, row.messages)
            except _RowUnusable as error:
                dropped.append(Problem(row.number, str(error)))
                continue
            except TrainingError as error:
                unsupported = unsupported or error
                dropped.append(Problem(row.number, error.message))
                continue
            longest = max(len(result.tokens) for result in results)
            if longest > max_length:
                message = f"It has {longest} tokens, and {max_length} are allowed. Shorten it, or split it."
                dropped.append(Problem(row.number, message))
            else:
                tokenized_rows += results
        if unsupported and not tokenized_rows:
            raise unsupported
        return tokenized_rows, dropped

    def tokenize(self, number: int, messages: Sequence[Message]) -> list[TokenizedRow]:
        """Tokenize one conversation so that each reply to learn stands behind the prompt that the engine would see.

        A reply's prompt is the conversation up to it, with the generation prompt, tokenized as the engine does for such
        a request. Replies share one sequence as long as the template and the tokenizer only ever append; where they
        don't (thoughts of earlier turns are removed, white space melts into what comes before it), a reply begins a
        sequence of its own.

        Raises:
            TrainingError: `unsupported_chat_template`: no token can be said to be a reply's.
        """
        conversation = [_to_template(message) for message in messages]
        if self.format.needs_system and not any(turn["role"] == "system" for turn in conversation):
            raise _RowUnusable(
                "Without a system text the model's chat template prints today's date. Give the row a system message."
            )
        sequences: list[tuple[list[int], list[tuple[int, int]]]] = []
        for index, message in enumerate(messages):
            if not message.is_target:
                continue
            prompt, reply = self._split_turn(conversation[: index + 1])
            tokens, span = prompt + reply, (len(prompt), len(prompt) + len(reply))
            if sequences and prompt[: len(sequences[-1][0])] == sequences[-1][0]:
                sequences[-1] = (tokens, [*sequences[-1][1], span])
            else:
                sequences.append((tokens, [span]))
        whole = self.encode(self._render(conversation, prompt=False))
        if sequences and whole[: len(sequences[-1][0])] == sequences[-1][0]:
            sequences[-1] = (whole, sequences[-1][1])
        return [TokenizedRow(number, tokens, _make_mask(len(tokens), spans)) for tokens, spans in sequences]

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text as vLLM has them: the template has written all special tokens already."""
        return self._tokenizer.encode(text, add_special_tokens=False)

    def _split_turn(self, conversation: list[dict[str, str]]) -> tuple[list[int], list[int]]:
        """Return the tokens of the prompt for the last turn, and those that the model has to generate for it."""
        turn = self._find_turn(conversation)
        self._check_printed(turn.text, conversation[-1]["content"])
        before, through = turn.prompt, turn.prompt + turn.text.removeprefix(self.format.empty_thought)
        prompt, tokens = self.encode(before), self.encode(through)
        if tokens[: len(prompt)] == prompt:
            reply = tokens[len(prompt) :]
        else:
            reply = self._encode_apart(through[len(before) :], prompt, self._decode(tokens))
        return prompt, reply[: self._find_end(reply, conversation[-1]["content"])]

    def _check_printed(self, output: str, reply: str) -> None:
        """Raise if the template makes another reply of it: a template is known by a few, and a text may decide."""
        thought = self.format.empty_thought
        rest = find_rest(output, reply, thought)
        if rest is None:
            change = describe_change(output, reply, empty_thought=thought)
        else:
            tokens = self.encode(rest)
            end = next((at for at, token in enumerate(tokens) if token in self._ends), 0)
            change = describe_addition(self._decode(tokens[:end]))
        if change is not None:
            raise _RowUnusable(f"The model's chat template {change}. Write that part of the reply in another way.")

    def _find_turn(self, conversation: list[dict[str, str]]) -> LastReply:
        try:
            return split_turn(self._render, conversation)
        except TemplateUnlearnable:
            split_turn(self._render, [*conversation[:-1], {**conversation[-1], "content": _PLAIN_REPLY}])
        raise _RowUnusable(
            "The model's chat template takes a part of a reply for something else, such as a thought where thoughts "
            "are switched off, so the reply doesn't begin as its prompt asks for one. Take that part out of the reply."
        )

    def _encode_apart(self, text: str, prompt: list[int], whole: str) -> list[int]:
        """Return tokens of a text whose first characters melt into the last token of the prompt before it.

        The engine's prompt has that token whole, so the text is encoded by itself. Tokenizers that put a space before
        all that they encode, as SentencePiece's do, get it behind a character that nothing melts into.

        Args:
            text: What the model has to write.
            prompt: The tokens before it.
            whole: The text that the tokenizer makes of both.
        """
        alone, anchor = self.encode(text), self.encode(_ANCHOR)
        behind = self.encode(_ANCHOR + text)[len(anchor) :]
        # Where a tokenizer changes what it reads, neither may give the text again.
        return next((one for one in (alone, behind) if self._decode(prompt + one) == whole), behind)

    def _find_end(self, reply: Sequence[int], text: str) -> int:
        """Return one past the reply's end of turn: the template's text after it is never generated, so not learnt."""
        ends = [index for index, token in enumerate(reply) if token in self._ends]
        if not ends:
            raise TrainingError(
                "unsupported_chat_template",
                "The model's chat template ends a reply with no token at which the engine stops, so the adapter would "
                "never learn to stop. Add its end-of-turn token to eos_token_id in the base model's "
                "generation_config.json.",
            )
        # A template may write another such token after the end of turn.
        if len(ends) > 1 and not self._ends.isdisjoint(self.encode(text)):
            raise _RowUnusable("A reply has the model's end-of-turn token in its text. Remove it from the text.")
        return ends[0] + 1

    def _render(self, conversation: list[dict[str, str]], *, prompt: bool) -> str:
        messages = self.format.prepare(conversation)
        try:
            return self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=prompt, tokenize=False, **self.format.variables
            )
        except TemplateError as error:
            raise _RowUnusable(
                f"The model's chat template refuses it: {error}. Change the order of its turns."
            ) from error

    def _decode(self, tokens: list[int]) -> str:
        return self._tokenizer.decode(tokens, clean_up_tokenization_spaces=False)


def _make_mask(length: int, spans: Sequence[tuple[int, int]]) -> list[bool]:
    mask = [False] * length
    for start, end in spans:
        mask[start:end] = [True] * (end - start)
    return mask


def _to_template(message: Message) -> dict[str, str]:
    # Open models' templates know no developer; OpenAI's own models treat the two alike.
    role = "system" if message.role == "developer" else message.role
    members = {"role": role, "content": message.text}
    return members if message.name is None else {**members, "name": message.name}  # as the engine hands it on
