"""Threads of a ticket system as conversations: customers are users, agents are assistants."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.html_text import read_html
from gateway.conversations.mail_text import SIGNATURES, MailPart, cut_signature, find_signature, strip_mail
from gateway.conversations.records import Record
from training.dataset import Message, Problem

__all__ = ["NOTES", "Post", "Side", "Thread", "choose_text", "join_threads", "read_threads"]

Side = Literal["user", "assistant", "unknown"]

_ALONE = "It has one message alone: where there were more, export tickets with their comments, conversations or parts."
NOTES, _BOTS, _LATE, _EMPTY = "internal notes", "messages of bots", "customers' last words", "messages without text"


@dataclass(frozen=True, slots=True)
class Post:
    """One message of a thread.

    Attributes:
        side: `unknown` where the export doesn't tell whether a customer or an agent wrote it, so that its thread can't
            be used; None where it belongs to neither: a bot's.
        author: Its writer's id in the ticket system.
        time: In Unix seconds, by which a thread's messages are sorted; without one a message stays behind the one that
            it follows.
        internal: Whether only agents see it.
        is_unsigned: Whether a signature was cut from it already.
    """

    side: Side | None
    text: str
    author: str = ""
    time: float | None = None
    internal: bool = False
    is_unsigned: bool = False


@dataclass(frozen=True, slots=True)
class Thread:
    """A ticket; `number` is its place in the file, from 1."""

    number: int
    id: str
    posts: Sequence[Post]


def read_threads(
    records: Iterable[tuple[int, Record]], problems: Sequence[Problem], to_thread: Callable[[int, Record], Thread]
) -> Import:
    """Make conversations of a ticket system's records."""
    threads = [to_thread(number, record) for number, record in records]
    return join_threads(threads, problems)


def choose_text(text: str, html: str) -> str:
    """Return a message's text; where the system has it as HTML alone, that one's."""
    return text if text.strip() else read_html(html)


def join_threads(threads: Sequence[Thread], problems: Sequence[Problem] = ()) -> Import:
    """Make a conversation of each thread.

    Internal notes and bots' messages are left out, quoted mail and agents' cards are cut (all of these are counted),
    messages of one side that follow each other become one, and what a customer says last, which nobody answered, goes.
    A thread with somebody of whom it isn't known whether they are an agent is a problem: a customer's words would be
    learnt as the team's.
    """
    omitted: Counter[str] = Counter()
    cleaned = [replace(one, posts=list(_clean(one.posts, omitted))) for one in threads]
    by_author: defaultdict[str, list[str]] = defaultdict(list)
    for post in (post for thread in cleaned for post in thread.posts if post.side == "assistant"):
        by_author[post.author].append(post.text)
    cards = {author: card for author, texts in by_author.items() if (card := find_signature(texts))}
    conversations: list[Conversation] = []
    faults = list(problems)
    for thread in cleaned:
        if strangers := dict.fromkeys(post.author for post in thread.posts if post.side == "unknown"):
            faults.append(Problem(thread.number, _describe_strangers(thread, [*strangers])))
            continue
        messages = _join(thread.posts, cards, omitted)
        while messages and messages[-1].role == "user":
            messages.pop()
            omitted[_LATE] += 1
        if any(message.role == "user" for message in messages) and messages[-1].role == "assistant":
            if messages[0].role == "assistant":
                messages[0] = Message("assistant", messages[0].text, weight=0)
            conversations.append(Conversation(thread.number, messages, thread.id))
        else:
            reason = f"The thread {thread.id} has no question with an agent's reply."
            faults.append(Problem(thread.number, reason if len(thread.posts) > 1 else f"{reason} {_ALONE}"))
    return Import(conversations, sorted(faults, key=lambda fault: fault.row), dict(+omitted))


def _clean(posts: Iterable[Post], omitted: Counter[str]) -> Iterable[Post]:
    earlier: list[str] = []
    for post in _sort(posts):
        cuts: list[MailPart] = []
        text = strip_mail(post.text, "\n".join(earlier), cuts.append)
        earlier.append(post.text)
        if post.internal:
            omitted[NOTES] += 1
        elif post.side is None:
            omitted[_BOTS] += 1
        elif not text:
            omitted[_EMPTY] += 1
        else:
            omitted.update(cuts)
            yield replace(post, text=text, is_unsigned=SIGNATURES in cuts)


def _sort(posts: Iterable[Post]) -> list[Post]:
    last = -math.inf
    keys: list[float] = []
    sorted_posts = [*posts]
    for post in sorted_posts:
        last = last if post.time is None else post.time
        keys.append(last)
    return [post for _, post in sorted(zip(keys, sorted_posts, strict=True), key=lambda pair: pair[0])]


def _describe_strangers(thread: Thread, authors: Sequence[str]) -> str:
    names = ", ".join(author or "without an id" for author in authors)
    return (
        f"In the thread {thread.id} it isn't known whether these authors are customers or agents: {names}. Export the "
        "users with their roles too, and put them beside the threads as `users`, or leave the thread out."
    )


def _join(posts: Iterable[Post], cards: dict[str, tuple[str, ...]], omitted: Counter[str]) -> list[Message]:
    messages: list[Message] = []
    for post in posts:
        assert post.side == "user" or post.side == "assistant"
        text = cut_signature(post.text, cards.get(post.author, ())) if post.side == "assistant" else post.text
        omitted[SIGNATURES] += text != post.text and not post.is_unsigned
        if messages and messages[-1].role == post.side:
            text = f"{messages.pop().text}\n\n{text}"
        messages.append(Message(post.side, text))
    return messages
