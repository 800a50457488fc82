"""Rows of preferences from contests: each behind the prompt that was served, in halves that share no conversation."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

import prompts
from gateway.answers.record import AnswerRecord, digest_conversation
from gateway.comparisons.sides import digest_prompt
from gateway.fine_tuning.rows import RowsUnusable, render_preferences
from gateway.preferences.contest import Contest, LeftOut, VoteRules, find_winner
from training.chat_format import fold_system

__all__ = ["Dataset", "PairChoice", "PreferencePair", "PromptForm", "check_prompts", "encode_pairs", "split_pairs"]


@dataclass(frozen=True, slots=True)
class PromptForm:
    """The way from a conversation to a prompt of the model to be trained.

    Attributes:
        template: None for the built-in one.
        markers: What the base takes for more than text.
        folds_system: Whether the base's chat template wants the system text in the first user message.
    """

    template: str | None
    variables: Mapping[str, Any]
    markers: prompts.Markers
    folds_system: bool


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """A conversation with the better and the worse reply; `passages` as in a row of a training file.

    `answered_by` are the releases (`name@number`) or models whose answers the replies are.
    """

    messages: Sequence[Mapping[str, str]]
    passages: list[dict[str, str]] | None
    better: str
    worse: str
    corrected: bool
    prompt: str | None
    answered_by: frozenset[str] = frozenset()

    @property
    def conversation(self) -> bytes:
        """The part that all turns of one conversation share: what comes up to the user's first message."""
        first = next(at for at, message in enumerate(self.messages) if message["role"] == "user")
        return msgspec.json.encode(self.messages[: first + 1])


@dataclass(frozen=True, slots=True)
class Dataset:
    """The pairs to train on, those held out, and the number of contests left out by reason."""

    training: list[PreferencePair]
    held_out: list[PreferencePair]
    left_out: Counter[LeftOut]


class PairChoice:
    """Makes a pair of each contest that has a winner and whose prompt is known, and counts the others by reason.

    It takes some contests at a time, so that the records of all of them needn't be in memory at once.
    """

    def __init__(self, rules: VoteRules) -> None:
        self._rules = rules
        self._pairs: dict[tuple[bytes, str, str], PreferencePair] = {}
        self._left_out: Counter[LeftOut] = Counter()

    @property
    def pairs(self) -> list[PreferencePair]:
        return list(self._pairs.values())

    @property
    def left_out(self) -> Counter[LeftOut]:
        return +self._left_out

    def list_answers(self, contests: Sequence[Contest]) -> set[str]:
        """Return the ids of the answers whose records `take` wants: those of contests with a winner."""
        decided = [one for one in contests if find_winner(one, self._rules) in (0, 1)]
        return {id for contest in decided for id in contest.answers if id is not None}

    def take(self, contests: Sequence[Contest], records: Mapping[str, AnswerRecord]) -> None:
        """Decide some contests; `records` are those of their answers, by id, as far as they are there."""
        for contest in contests:
            pair = _decide(contest, records, self._rules)
            if not isinstance(pair, PreferencePair):
                self._left_out[pair] += 1
                continue
            key = msgspec.json.encode(pair.messages), pair.better, pair.worse
            self._left_out["duplicate"] += key in self._pairs
            self._pairs.setdefault(key, pair)


def check_prompts(pairs: Sequence[PreferencePair], form: PromptForm) -> tuple[list[PreferencePair], Counter[LeftOut]]:
    """Return the pairs whose rows the trainer will render as they were served, and count the others by reason.

    Where no digest of the served prompt is known, nothing is compared.
    """
    try:
        content = render_preferences(encode_pairs(pairs), form.template, form.variables, form.markers).content
    except RowsUnusable as error:
        bad = {problem.row for problem in error.problems}
        sound = [pair for number, pair in enumerate(pairs, 1) if number not in bad]
        if not sound:
            return [], Counter({"unusable": len(bad)})
        same_pairs, left_out = check_prompts(sound, form)
        return same_pairs, left_out + Counter[LeftOut]({"unusable": len(bad)})
    same_pairs: list[PreferencePair] = []
    for pair, line in zip(pairs, content.splitlines(), strict=True):
        messages = msgspec.json.decode(line)["input"]["messages"]
        digest = digest_prompt(fold_system(messages) if form.folds_system else messages)
        if pair.prompt in (None, digest):
            same_pairs.append(pair)
    return same_pairs, Counter({"different_prompt": len(pairs) - len(same_pairs)})


def split_pairs(pairs: Sequence[PreferencePair], share: float, seed: int) -> tuple[list[PreferencePair], ...]:
    """Return the pairs to train on, and at most a `share` of all to hold out: whole conversations, drawn by a seed."""
    groups: defaultdict[bytes, list[PreferencePair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.conversation].append(pair)
    most = round(share * len(pairs))
    training: list[PreferencePair] = []
    held_out: list[PreferencePair] = []
    for conversation in sorted(groups, key=lambda one: hashlib.sha256(b"%d " % seed + one).digest()):
        group = groups[conversation]
        (held_out if len(held_out) + len(group) <= most else training).extend(group)
    return training, held_out


def encode_pairs(pairs: Sequence[PreferencePair]) -> bytes:
    """Return pairs as a training file: OpenAI's rows of preferences, with the passages in `braid`."""
    return b"".join(msgspec.json.encode(_to_row(pair)) + b"\n" for pair in pairs)


def _decide(contest: Contest, records: Mapping[str, AnswerRecord], rules: VoteRules) -> PreferencePair | LeftOut:
    winner = find_winner(contest, rules)
    if winner not in (0, 1):
        return winner
    passages = _find_passages(contest, records)
    if isinstance(passages, str):
        return passages
    better, worse = contest.replies[winner], contest.replies[1 - winner]
    models = frozenset(records[id].release or records[id].model for id in contest.answers if id is not None)
    return PreferencePair(contest.messages, passages, better, worse, contest.corrected, contest.prompt, models)


def _to_row(pair: PreferencePair) -> dict[str, Any]:
    row: dict[str, Any] = {
        "input": {"messages": pair.messages},
        "preferred_output": [{"role": "assistant", "content": pair.better}],
        "non_preferred_output": [{"role": "assistant", "content": pair.worse}],
    }
    return row if pair.passages is None else {**row, "braid": {"passages": pair.passages}}


def _find_passages(contest: Contest, records: Mapping[str, AnswerRecord]) -> list[dict[str, str]] | LeftOut | None:
    """Return the passages that both replies had in their prompts, or the reason that there are none to learn with.

    Replies with different passages say which passages were the better ones, which no weights should learn.
    """
    ids = [id for id in contest.answers if id is not None]
    if not all(id in records for id in ids):
        return "no_record"
    if any(records[id].dropped_turns for id in ids):
        return "different_prompt"  # a row would show all turns
    if not all(_is_asked(contest.messages, records[id]) for id in ids):
        return "different_messages"  # the client said that it had asked something else
    if any(passage.deleted for id in ids for passage in records[id].passages):
        return "deleted_document"
    first, *others = (_list_passages(records[id]) for id in ids)
    return "different_passages" if any(other != first for other in others) else first


def _is_asked(messages: Sequence[Mapping[str, str]], record: AnswerRecord) -> bool:
    """Tell whether an answer is one to these messages, as far as its record knows."""
    digest = digest_conversation((one["role"], one["content"]) for one in messages)
    return record.messages_digest in ("", digest)


def _list_passages(record: AnswerRecord) -> list[dict[str, str]] | None:
    if record.retrieval in ("off", "skipped"):
        return None
    return [
        {"title": passage.heading or passage.filename, "text": passage.text}
        for passage in record.passages
        if not passage.copy
    ]
