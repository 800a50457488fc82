"""The checks of conversations before they are learnt: what is wrong or doubtful, by row."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from gateway.conversations.broken_text import find_broken_text
from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.findings import CheckReport, Finding
from gateway.conversations.languages import find_language
from gateway.conversations.near_duplicates import NearDuplicates
from gateway.conversations.private_data import KINDS, find_private_data
from gateway.counts import format_count
from gateway.evaluation.unspaced_scripts import count_words, split_words
from training.dataset import Problem

__all__ = ["check_conversations", "check_import"]

_CHARACTERS_PER_TOKEN = 4
"""About, in English; only the trainer has the base's tokenizer, and tells which rows were really too long."""

_DENSE = re.compile(
    "[\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u3005-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af]"
)
"""Thai, Lao, Burmese, Khmer, Chinese, Japanese, Korean: a token is one or two of their letters."""

_OTHER_SCRIPT = re.compile("[\u0370-\u0dff\u10a0-\u10ff\u1200-\u137f]")
"""Greek, Cyrillic, Arabic, the scripts of India and the like: two or three."""

_DENSE_PER_TOKEN, _OTHER_PER_TOKEN = 1.5, 2.5

_COPIED_RUN = 5
_COPIED_SHARE = 0.9
_COPIED_WORDS = 12
"""Of a passage: shorter ones, such as an opening time, may well be told as they are."""

_TELLING = 24
"""Characters of a customer's: with fewer, such as "Hello", many conversations begin."""

_NO_REPLY = re.compile(r"(?i)no final reply|last message is not an assistant|no question with|empty reply")
_NAMED_ROWS = 3


def check_import(
    format: str,
    content: Import,
    validation: Import | None = None,
    *,
    max_length: int = 2048,
    region: str | None = None,
    tell: Callable[[int, int], None] = lambda _count, _all: None,
) -> CheckReport:
    """Check a file that was read, and one that is kept for validation.

    Args:
        format: Its name.
        content: The file's.
        validation: That of the validation file.
        max_length: The most tokens of a row.
        region: Whose phone numbers are looked for, such as `US`.
        tell: Hears how many checks of how many are done.
    """
    findings = [*_describe_encoding(content), *_describe_problems(content.problems)]
    if validation is not None:
        findings += [
            Finding.of("validation_rows", "error", f"Of the validation file, {one.message}", one.rows)
            for one in _describe_problems(validation.problems)
        ]
    held_out = validation.conversations if validation else ()
    conversations = content.conversations
    findings += check_conversations(conversations, held_out, max_length=max_length, region=region, tell=tell)
    rows = len({*(one.number for one in content.conversations), *(problem.row for problem in content.problems)})
    return CheckReport(format, rows, len(content.conversations), findings, content.omitted)


def _describe_encoding(content: Import) -> list[Finding]:
    if not content.encoding:
        return []
    rows = [one.number for one in content.conversations if not all(turn.text.isascii() for turn in one.messages)]
    message = f"The file is no UTF-8 and was read as {content.encoding}, which its letters tell. Look at these rows."
    return [Finding.of("older_encoding", "info", message, rows)]


def check_conversations(
    conversations: Sequence[Conversation],
    validation: Sequence[Conversation] = (),
    *,
    max_length: int = 2048,
    region: str | None = None,
    tell: Callable[[int, int], None] = lambda _count, _all: None,
) -> list[Finding]:
    """Return the findings of conversations that can be used as they are; it takes seconds for thousands of them.

    `tell` hears how many checks of how many are done.
    """
    checks: list[Iterator[Finding]] = [
        _find_long(conversations, max_length),
        _find_duplicates(conversations),
        _find_leaks(conversations, validation),
        _find_systems(conversations),
        _find_copies(conversations),
        _find_languages(conversations),
        _find_broken_texts(conversations),
        _find_empty_questions(conversations),
        _find_unlearnt(conversations),
        _find_private_data(conversations, region),
    ]
    findings: list[Finding] = []
    for count, check in enumerate(checks, 1):
        findings += check
        tell(count, len(checks))
    return findings


def _describe_problems(problems: Sequence[Problem]) -> Iterator[Finding]:
    groups: dict[bool, list[Problem]] = {True: [], False: []}
    for problem in problems:
        groups[_NO_REPLY.search(problem.message) is not None].append(problem)
    for check, words, group in (
        ("no_final_reply", ("row has no final reply", "rows have no final reply"), groups[True]),
        ("bad_rows", ("row can't be used", "rows can't be used"), groups[False]),
    ):
        if group:
            reasons = " ".join(f"Row {problem.row}: {problem.message}" for problem in group[:_NAMED_ROWS])
            message = f"{format_count(len(group), *words)}. {reasons}"
            yield Finding.of(check, "error", message, (problem.row for problem in group))


def _find_long(conversations: Sequence[Conversation], max_length: int) -> Iterator[Finding]:
    sizes = {one.number: sum(map(_estimate_tokens, (one.prompt, *one.replies))) for one in conversations}
    rows = [row for row, size in sizes.items() if size > max_length]
    if rows:
        message = (
            f"{format_count(len(rows), 'row has', 'rows have')} more than about {max_length} tokens, and would be left "
            "out of a training. Shorten what is long, or train with a larger `max_length`."
        )
        yield Finding.of("over_long", "warning", message, rows)


def _estimate_tokens(text: str) -> float:
    dense = others = 0
    if not text.isascii():
        dense, others = len(_DENSE.findall(text)), len(_OTHER_SCRIPT.findall(text))
    rest = len(text) - dense - others
    return rest / _CHARACTERS_PER_TOKEN + dense / _DENSE_PER_TOKEN + others / _OTHER_PER_TOKEN


def _find_duplicates(conversations: Sequence[Conversation]) -> Iterator[Finding]:
    pairs = NearDuplicates().find([_to_text(one) for one in conversations])
    for check, verb, words, some in (
        (
            "duplicates",
            ("row says", "rows say"),
            "the same as an earlier one",
            [pair for pair in pairs if pair.similarity == 1],
        ),
        (
            "near_duplicates",
            ("row is", "rows are"),
            "nearly an earlier one",
            [pair for pair in pairs if pair.similarity < 1],
        ),
    ):
        if some:
            numbers = [(conversations[pair.second].number, conversations[pair.first].number) for pair in some]
            examples = ", ".join(f"{row} (as {first})" for row, first in numbers[:_NAMED_ROWS])
            message = (
                f"{format_count(len(some), *verb)} {words}, and would be learnt by heart: {examples}. Keep one of each."
            )
            rows = [row for row, _ in numbers]
            yield Finding.of(check, "warning", message, rows, pairs=numbers[:100])


def _find_leaks(conversations: Sequence[Conversation], validation: Sequence[Conversation]) -> Iterator[Finding]:
    if not validation:
        return
    threads = {one.id: one.number for one in conversations if one.id}
    leaks = {one.number: threads[one.id] for one in validation if one.id in threads}
    count = len(conversations)
    for read_text in (_to_text, _to_opening):
        texts = [*map(read_text, conversations), *map(read_text, validation)]
        for pair in NearDuplicates().find(texts):
            if pair.first < count <= pair.second:
                leaks.setdefault(validation[pair.second - count].number, conversations[pair.first].number)
    if leaks:
        examples = ", ".join(f"{row} (training row {first})" for row, first in list(leaks.items())[:_NAMED_ROWS])
        message = (
            f"The training file has {format_count(len(leaks), 'row')} of the validation file too, or nearly: "
            f"{examples}. Its loss would be too good; part the files by conversation."
        )
        yield Finding.of("leakage", "warning", message, leaks, training_rows=sorted(set(leaks.values()))[:100])


def _find_systems(conversations: Sequence[Conversation]) -> Iterator[Finding]:
    by_system: defaultdict[str, list[int]] = defaultdict(list)
    for one in conversations:
        by_system["\n".join(message.text for message in one.messages if message.role == "system")].append(one.number)
    if len(by_system) < 2:
        return
    usual = max(by_system, key=lambda system: len(by_system[system]))
    rows = [row for system, rows in by_system.items() if system != usual for row in rows]
    others = format_count(len(rows), "row has", "rows have")
    message = (
        f"The rows have {len(by_system)} different system prompts, and {others} another one than most. What is learnt "
        "belongs to the prompt that is served: use that one in all rows, or make the job with a prompt."
    )
    yield Finding.of("mixed_system_prompts", "warning", message, rows, prompts=len(by_system))


def _find_copies(conversations: Sequence[Conversation]) -> Iterator[Finding]:
    rows = [
        one.number
        for one in conversations
        if any(_copies(reply, passage.text) for reply in one.replies for passage in one.passages or ())
    ]
    if rows:
        message = (
            f"{format_count(len(rows), 'reply copies', 'replies copy')} a passage whole, which teaches to "
            "recite instead of to answer. Answer in the words of the style, with what the question needs of the "
            "passage."
        )
        yield Finding.of("copied_passages", "warning", message, rows)


def _copies(reply: str, passage: str) -> bool:
    words = split_words(passage)
    if count_words(words) < _COPIED_WORDS:
        return False
    runs = _cut(words)
    return len(runs & _cut(split_words(reply))) >= _COPIED_SHARE * len(runs)


def _cut(words: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + _COPIED_RUN]) for start in range(len(words) - _COPIED_RUN + 1)}


def _find_languages(conversations: Sequence[Conversation]) -> Iterator[Finding]:
    by_language: defaultdict[str, list[int]] = defaultdict(list)
    for one in conversations:
        if language := find_language("\n".join(one.replies)):
            by_language[language].append(one.number)
    if len(by_language) < 2:
        return
    counts = Counter({language: len(rows) for language, rows in by_language.items()}).most_common()
    rows = [row for language, _ in counts[1:] for row in by_language[language]]
    mix = ", ".join(f"{count} {language}" for language, count in counts)
    message = f"The replies are in {len(counts)} languages: {mix}. Each is learnt only from its own rows."
    yield Finding.of("language_mix", "warning", message, rows, languages=dict(counts))


def _find_broken_texts(conversations: Sequence[Conversation]) -> Iterator[Finding]:
    examples: dict[int, str] = {}
    for one in conversations:
        if piece := find_broken_text("\n".join((*one.replies, one.prompt, one.rejected or ""))):
            examples[one.number] = piece
    if examples:
        some = ", ".join(f"row {row} ({text!r})" for row, text in list(examples.items())[:_NAMED_ROWS])
        message = (
            f"{format_count(len(examples), 'row has', 'rows have')} letters that were decoded wrongly, control "
            f"characters or blackened words, learnt as they are: {some}. Export them anew as UTF-8, or mend them."
        )
        yield Finding.of("broken_text", "warning", message, examples)


def _find_empty_questions(conversations: Sequence[Conversation]) -> Iterator[Finding]:
    rows = [
        one.number
        for one in conversations
        if any(
            reply.is_target and question.role == "user" and not question.text.strip()
            for question, reply in pairwise(one.messages)
        )
    ]
    if rows:
        words = format_count(len(rows), "row has", "rows have")
        message = f"{words} a reply to an empty message, which is learnt for no question at all."
        yield Finding.of("empty_questions", "warning", message, rows)


def _find_unlearnt(conversations: Sequence[Conversation]) -> Iterator[Finding]:
    chats = (one for one in conversations if one.rejected is None)  # of preferences, earlier replies never are
    rows = [one.number for one in chats if any(message.weight == 0 for message in one.messages)]
    if rows:
        words = format_count(len(rows), "row has", "rows have")
        message = f"{words} replies with `weight: 0`, which are read and not learnt."
        yield Finding.of("weight_0", "info", message, rows)


def _find_private_data(conversations: Sequence[Conversation], region: str | None) -> Iterator[Finding]:
    by_kind: defaultdict[str, list[int]] = defaultdict(list)
    for one in conversations:
        for place in find_private_data("\n".join((one.prompt, *one.replies, one.rejected or "")), region):
            by_kind[place.kind].append(one.number)
        by_kind["name"] += [one.number for message in one.messages if message.name]
    for kind in (*KINDS, "name"):
        if by_kind[kind]:
            places, rows = len(by_kind[kind]), format_count(len(set(by_kind[kind])), "row")
            words = format_count(places, f"place in {rows} looks", f"places in {rows} look")
            message = f"{words} like personal data ({kind}). Redact what is a person's."
            yield Finding.of("private_data", "warning", message, by_kind[kind], kind=kind, places=places)


def _to_opening(conversation: Conversation) -> str:
    """Return the turns up to the first reply to something telling, which rows of one thread have in common.

    Of a row that never gets there it is the whole, whose like is found by the whole rows.
    """
    texts: list[str] = []
    length = 0
    for message in conversation.messages:
        if message.role not in ("system", "developer"):
            texts.append(message.text)
        length += len(message.text) if message.role == "user" else 0
        if message.role == "assistant" and length >= _TELLING:
            break
    return "\n".join(texts)


def _to_text(conversation: Conversation) -> str:
    texts = [message.text for message in conversation.messages if message.role not in ("system", "developer")]
    return "\n".join(texts)
