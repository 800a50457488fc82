import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Any, Literal, TypeAlias, cast

import msgspec

from prompts.conversation import Message, split
from prompts.errors import ContextTooLong
from prompts.markers import GENERIC, Markers
from prompts.template import Template
from prompts.text import clean, join_lines

__all__ = ["EVIDENCE_LAYOUT", "Draft", "NumberedPassage", "Part", "Rendering", "Segment", "draft", "render_row"]

Part: TypeAlias = Literal["system", "instructions", "turn", "passage", "question"]
_GAP = "\n\n"
EVIDENCE_LAYOUT = "data-1"
"""The way in which passages stand in a prompt, beside what its template says; another one has another name."""

_MARK_LENGTH = 6


class NumberedPassage(msgspec.Struct, frozen=True):
    """A passage as the model sees it; `number` is the mark by which the answer cites it."""

    number: int
    title: str
    text: str


class Segment(msgspec.Struct, frozen=True):
    """A piece of the prompt that is counted by itself.

    `messages` is the number of messages that it opens: a chat template puts tokens around each, which the text lacks.
    """

    part: Part
    text: str
    messages: int = 0


class Rendering(msgspec.Struct, frozen=True):
    """The messages for the engine, and an account of the rest. `parts` are tokens per part, all five always there."""

    messages: list[dict[str, Any]]
    used_passages: list[int]
    dropped_passages: list[int]
    dropped_turns: int
    parts: dict[Part, int]


@dataclass(frozen=True, slots=True)
class Draft:
    """A prompt before its budget is known: `segments` are to be counted, then `fit` chooses among them.

    Attributes:
        segments: System, instructions if any, one per turn, one per passage (with its share of the evidence block);
            then the part `question`: the words for no evidence if there was a search, and the question; then, of the
            part `turn` but never dropped, the messages behind the question, if there are any.
        head: The number of segments before the first turn.
        numbers: The numbers of all passages, best first.
        ranks: The ranks of the passages that the evidence block prints: one passage segment each.
        evidence: The evidence block in pieces, each with the rank (from 1) of the passage that printed it, 0 for none.
            What passages printed stands between `<data-…>` and `</data-…>`, with a mark that none of them has in it.
        markers: Are broken in every text.
    """

    segments: tuple[Segment, ...]
    head: int
    system: str
    turns: tuple[tuple[dict[str, Any], ...], ...]
    numbers: tuple[int, ...]
    ranks: tuple[int, ...]
    evidence: tuple[tuple[int, str], ...]
    no_evidence: str | None
    question: str
    after: tuple[dict[str, Any], ...]
    markers: Markers

    def fit(self, sizes: Sequence[int], budget: int) -> Rendering:
        """Choose the turns and passages that fit into `budget` tokens.

        Passages go from the worst rank, turns from the oldest, each whole. While both are too much, each side may fill
        half of the free tokens and those that the other leaves; the best passage goes before any turn. If not even that
        one fits, the template's words for no evidence stand in, so that the model doesn't answer from memory.

        Args:
            sizes: Tokens of each of `segments`, in their order.
            budget: Tokens for the whole prompt.

        Raises:
            ContextTooLong: The parts that can't be dropped are already more than `budget`.
        """
        if len(sizes) != len(self.segments):
            raise ValueError(f"{len(sizes)} sizes for {len(self.segments)} segments; count each segment once")
        total = sum(sizes)
        if total <= budget and self.no_evidence is None:
            return self._take_all(sizes)
        middle = self.head + len(self.turns)
        tail = middle + len(self.ranks)
        turns, passages = sizes[self.head : middle], sizes[middle:tail]
        instead = sizes[tail] if self.no_evidence is not None else 0
        fixed = total - sum(turns) - sum(passages) - instead
        needed = fixed + min([instead, *passages[:1]])
        if needed > budget:
            raise ContextTooLong(needed, budget)
        free = budget - fixed
        if passages and passages[0] <= free:
            best, newest = _choose(passages, turns, free)
        else:
            best, newest = _choose((), turns, free - instead)

        parts = self._sum_parts(sizes)
        dropped_turns = len(turns) - newest
        parts["turn"] -= sum(turns[:dropped_turns])
        parts["passage"] -= sum(passages[best:])
        parts["question"] -= instead if best else 0
        ranks = self.ranks[:best]
        return Rendering(
            messages=self._compose(best, dropped_turns),
            used_passages=[self.numbers[rank - 1] for rank in ranks],
            dropped_passages=[number for rank, number in enumerate(self.numbers, 1) if rank not in ranks],
            dropped_turns=dropped_turns,
            parts=parts,
        )

    def _take_all(self, sizes: Sequence[int]) -> Rendering:
        """Take everything, as most requests do, where no search was made."""
        return Rendering(self._compose(0, 0), [], [], 0, self._sum_parts(sizes))

    def _sum_parts(self, sizes: Sequence[int]) -> dict[Part, int]:
        parts: dict[Part, int] = {"system": 0, "instructions": 0, "turn": 0, "passage": 0, "question": 0}
        for segment, size in zip(self.segments, sizes, strict=True):
            parts[segment.part] += size
        return parts

    def _compose(self, best: int, dropped_turns: int) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = [{"role": "system", "content": self.system}] if self.system else []
        for turn in self.turns[dropped_turns:]:
            messages += [dict(message) for message in turn]
        before = _join_up_to(self.evidence, self.ranks[best - 1], self.markers) if best else self.no_evidence
        messages.append({"role": "user", "content": before + _GAP + self.question if before else self.question})
        messages += [dict(message) for message in self.after]
        return messages


def draft(
    template: Template,
    *,
    question: str,
    instructions: str | None = None,
    history: Sequence[Message] = (),
    passages: Sequence[NumberedPassage] | None = None,
    variables: Mapping[str, Any] | None = None,
    cite: bool = True,
    after: Sequence[Message] = (),
    markers: Markers = GENERIC,
) -> Draft:
    """Render every text that the prompt for one question may need. Pure: equal arguments give equal bytes.

    Args:
        template: The template with the wording.
        question: The last user turn.
        instructions: The client's own system text; it stands in the system message, after the template's, in the words
            of the block `instructions`; where the template has no system text, it stands there alone.
        history: The messages before the question, oldest first, without system messages.
        passages: Best first. None leaves evidence out; an empty sequence is a search without results.
        variables: Values for the template's own names: text, numbers, booleans, and lists and mappings of them.
        cite: Whether the answer is to carry marks; off for JSON and tool calls.
        after: Messages behind the question, such as a tool call and its results; never dropped.
        markers: What the base model takes for more than text, see `prompts.markers`; training and serving have to
            bring the same.

    Raises:
        TemplateFailed: The template can't be rendered with these values.
    """
    values = {name: value for name, value in (variables or {}).items() if name in template.variables}
    rules = template.render_system(values)
    addition = instructions.strip() if instructions else ""
    if rules and addition:
        addition = _GAP + template.render_instructions(values, addition)
    rules, addition = markers.neutralise(rules), markers.neutralise(addition)
    values["cite"] = cite
    turns, tail = _split_turns(history, markers), tuple(_to_message(message, markers) for message in after)
    evidence = _render_evidence(template, values, question, passages or ())
    shares = _split_shares(evidence, markers)
    no_evidence = None if passages is None else markers.neutralise(template.render("no_evidence", values))
    wording = markers.neutralise(template.render_question(values, question))

    segments = [Segment("system", rules, messages=1 if rules or addition else 0)]
    segments += [Segment("instructions", addition)] if addition else []
    head = len(segments)
    segments += map(_make_turn_segment, turns)
    segments += [Segment("passage", share) for share in shares.values()]
    if no_evidence is not None:
        segments.append(Segment("question", no_evidence and no_evidence + _GAP))
    segments.append(Segment("question", wording, messages=1))
    segments += [_make_turn_segment(tail)] if tail else []
    return Draft(
        segments=tuple(segments),
        head=head,
        system=rules + addition,
        turns=turns,
        numbers=tuple(p.number for p in passages or ()),
        ranks=tuple(shares),
        evidence=evidence,
        no_evidence=no_evidence,
        question=wording,
        after=tail,
        markers=markers,
    )


def render_row(
    template: Template,
    messages: Sequence[Message],
    passages: Sequence[NumberedPassage] | None,
    *,
    variables: Mapping[str, Any] | None = None,
    markers: Markers = GENERIC,
) -> list[dict[str, Any]]:
    """Return a training row's messages as serving would send them, followed by the row's reply.

    The question is the last user message; the messages behind it, the reply with its `fields`, end the row.

    Raises:
        NoQuestion: No message has the role `user`.
        TemplateFailed: The template can't be rendered with these values.
    """
    conversation = split(messages)
    row = draft(
        template,
        question=conversation.question,
        instructions=conversation.instructions,
        history=conversation.history,
        passages=passages,
        variables=variables,
        after=conversation.after,
        markers=markers,
    )
    return row.fit([0] * len(row.segments), budget=0).messages


def _choose(passages: Sequence[int], turns: Sequence[int], free: int) -> tuple[int, int]:
    """Return how many passages from the best and how many turns from the newest go into `free` tokens."""
    totals = [0, *accumulate(passages)]
    share = max(free // 2, free - sum(turns), *totals[:2])
    best = bisect_right(totals, share) - 1
    room = free - totals[best]
    newest = 0
    for size in reversed(turns):
        if size > room:
            break
        room -= size
        newest += 1
    best = bisect_right(totals, totals[best] + room) - 1
    return best, newest


def _render_evidence(
    template: Template, values: Mapping[str, Any], question: str, passages: Sequence[NumberedPassage]
) -> tuple[tuple[int, str], ...]:
    views = [{"number": p.number, "title": join_lines(p.title), "text": clean(p.text)} for p in passages]
    size = sum(len(p.title) + len(p.text) for p in passages)
    if not views:
        return ()
    mark = _choose_mark(question, [f"{view['title']} {view['text']}" for view in views])
    pieces: list[tuple[int, str]] = []
    for is_data, run in groupby(template.render_evidence(values, views, size), key=lambda piece: piece[0] > 0):
        inner = list(run)
        end = "" if inner[-1][1].endswith("\n") else "\n"
        pieces += [(0, f"<data-{mark}>\n"), *inner, (0, f"{end}</data-{mark}>\n")] if is_data else inner
    return tuple(pieces)


def _choose_mark(question: str, texts: Sequence[str]) -> str:
    """Return a mark that is in none of the texts, so that none can say where it ends.

    It follows from the question and the texts: equal requests have equal prompts, which engines' caches and a request's
    `seed` need, and no author of a document knows it.
    """
    together = "\n".join(texts)
    mark = hashlib.sha256(f"{question}\0{together}".encode("utf-8", "surrogatepass")).hexdigest()
    while mark[:_MARK_LENGTH] in together.lower():
        mark = hashlib.sha256(mark.encode()).hexdigest()
    return mark[:_MARK_LENGTH]


def _join_up_to(evidence: Sequence[tuple[int, str]], rank: int, markers: Markers) -> str:
    return markers.neutralise("".join([piece for at, piece in evidence if at <= rank]).strip())


def _split_shares(evidence: Sequence[tuple[int, str]], markers: Markers) -> dict[int, str]:
    """Return each passage's share of the evidence block, by rank; the first one brings the words around it."""
    pieces: dict[int, list[str]] = {}
    for rank, piece in evidence:
        if rank:
            pieces.setdefault(rank, []).append(piece)
    shares = {rank: markers.neutralise(share) for rank in sorted(pieces) if (share := "".join(pieces[rank])).strip()}
    if shares:
        first = next(iter(shares))
        shares[first] = _join_up_to(evidence, first, markers) + _GAP
    return shares


def _split_turns(history: Sequence[Message], markers: Markers) -> tuple[tuple[dict[str, Any], ...], ...]:
    """Split the history into turns: a user message with all that answers it. What comes before the first is one too."""
    turns: list[list[dict[str, Any]]] = []
    for message in history:
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(_to_message(message, markers))
    return tuple(map(tuple, turns))


def _to_message(message: Message, markers: Markers) -> dict[str, Any]:
    fields = {name: _neutralise_value(value, markers) for name, value in message.fields.items()}
    return {"role": message.role, "content": markers.neutralise(message.content), **fields}


def _neutralise_value(value: Any, markers: Markers) -> Any:
    match value:
        case str():
            return markers.neutralise(value)
        case list() | tuple():
            return [_neutralise_value(item, markers) for item in cast("Sequence[Any]", value)]
        case Mapping():
            items = cast("Mapping[str, Any]", value).items()
            return {
                name: (_neutralise_arguments if name == "arguments" else _neutralise_value)(item, markers)
                for name, item in items
            }
        case _:
            return value


def _neutralise_arguments(value: Any, markers: Markers) -> Any:
    """Return a tool call's arguments, whose names are the model's or the client's own words like their values.

    They are JSON, which engines decode before they print them: a spelling may hide in it behind escapes.
    """
    if not isinstance(value, str):
        return _neutralise_names(value, markers)
    text = markers.neutralise(value)
    if "\\" not in text:
        return text
    try:
        arguments = json.loads(text)
        neutral = _neutralise_names(arguments, markers)
    except RecursionError:
        return "{}"  # nested too deeply to look into; engines read what they can't decode as this, too
    except ValueError:
        return text
    return text if neutral == arguments else json.dumps(neutral)


def _neutralise_names(value: Any, markers: Markers) -> Any:
    match value:
        case Mapping():
            items = cast("Mapping[str, Any]", value).items()
            return {markers.neutralise(name): _neutralise_names(item, markers) for name, item in items}
        case list() | tuple():
            return [_neutralise_names(item, markers) for item in cast("Sequence[Any]", value)]
        case _:
            return _neutralise_value(value, markers)


def _make_turn_segment(messages: Sequence[Mapping[str, Any]]) -> Segment:
    """Return a segment of the messages' contents and their other fields as JSON, close to what engines print."""
    texts: list[str] = []
    for message in messages:
        texts.append(message["content"])
        if len(message) > 2:
            rest = {name: value for name, value in message.items() if name not in ("role", "content")}
            texts.append(msgspec.json.encode(rest).decode())
    return Segment("turn", "\n".join(texts), messages=len(messages))
