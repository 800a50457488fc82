"""Threads of a ticket system as conversations: customers are users, agents are assistants."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.html_text import read_html
from gateway.conversations.mail_text import cut_signature, find_signature, strip_mail
from gateway.conversations.records import Record
from training.dataset import Message, Problem

__all__ = ["Post", "Side", "Thread", "choose_text", "join_threads", "read_threads"]

Side = Literal["user", "assistant"]

_NOTES, _BOTS, _LATE, _EMPTY = "internal notes", "messages of bots", "customers' last words", "messages without text"


@dataclass(frozen=True, slots=True)
class Post:
    """One message of a thread.

    Attributes:
        side: None where it belongs to neither: a bot's.
        author: Its writer's id in the ticket system.
        time: By which a thread's messages are sorted; "" keeps them as they stand.
        internal: Whether only agents see it.
    """

    side: Side | None
    text: str
    author: str = ""
    time: str = ""
    internal: bool = False


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

    Internal notes and bots' messages are left out, quoted mail and agents' cards are cut, messages of one side that
    follow each other become one, and what a customer says last, which nobody answered, goes.
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
        messages = _join(thread.posts, cards)
        while messages and messages[-1].role == "user":
            messages.pop()
            omitted[_LATE] += 1
        if any(message.role == "user" for message in messages) and messages[-1].role == "assistant":
            if messages[0].role == "assistant":
                messages[0] = Message("assistant", messages[0].text, weight=0)
            conversations.append(Conversation(thread.number, messages, thread.id))
        else:
            faults.append(Problem(thread.number, f"The thread {thread.id} has no question with an agent's reply."))
    return Import(conversations, sorted(faults, key=lambda fault: fault.row), dict(omitted))


def _clean(posts: Iterable[Post], omitted: Counter[str]) -> Iterable[Post]:
    for post in sorted(posts, key=lambda post: post.time):
        text = strip_mail(post.text)
        if post.internal:
            omitted[_NOTES] += 1
        elif post.side is None:
            omitted[_BOTS] += 1
        elif not text:
            omitted[_EMPTY] += 1
        else:
            yield replace(post, text=text)


def _join(posts: Iterable[Post], cards: dict[str, tuple[str, ...]]) -> list[Message]:
    messages: list[Message] = []
    for post in posts:
        assert post.side is not None
        text = cut_signature(post.text, cards.get(post.author, ())) if post.side == "assistant" else post.text
        if messages and messages[-1].role == post.side:
            text = f"{messages.pop().text}\n\n{text}"
        messages.append(Message(post.side, text))
    return messages
