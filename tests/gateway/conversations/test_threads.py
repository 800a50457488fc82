"""Threads of any ticket system as conversations: their order, whose words they are, and what is left out."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversations.conversation import Import
from gateway.conversations.threads import Post, Side, Thread, choose_text, join_threads
from training.dataset import Problem

CARD = "Kind regards,\nAnna Smith\nKestrel Ltd, +44 20 7946 0000"


def user(text: str, time: float | None = None) -> Post:
    return Post("user", text, "u", time)


def agent(text: str, time: float | None = None, *, author: str = "a", internal: bool = False) -> Post:
    return Post("assistant", text, author, time, internal)


def join(*posts: Post) -> Import:
    return join_threads([Thread(1, "t1", posts)])


def texts(content: Import) -> list[str]:
    (one,) = content.conversations
    return [message.text for message in one.messages]


@pytest.mark.parametrize(
    ("posts", "order"),
    [
        ([agent("2", 9), user("1", 3)], ["1", "2"]),
        ([user("1", 3), agent("2"), user("3", 9), agent("4", 12)], ["1", "2", "3", "4"]),
        # Without a time of its own a message stays behind the one that it follows.
        ([user("3", 9), agent("4"), user("1", 3), agent("2")], ["1", "2", "3", "4"]),
        ([user("1"), agent("2"), user("3", -5), agent("4", 0)], ["1", "2", "3", "4"]),
        ([user("1", 3), agent("2", 3), user("3", 3), agent("4", 3)], ["1", "2", "3", "4"]),
    ],
)
def test_messages_are_in_the_order_of_their_times(posts: list[Post], order: list[str]) -> None:
    assert texts(join(*posts)) == order


@given(st.permutations([user("a", 1.0), agent("b", 2.0), user("c", 3.0), agent("d", math.pi), user("e", 5.0)]))
def test_an_export_in_any_order_is_the_same_thread(posts: list[Post]) -> None:
    content = join(*posts)
    assert (texts(content), content.omitted) == (["a", "b", "c", "d"], {"customers' last words": 1})


def test_what_is_quoted_of_earlier_messages_is_cut_also_of_those_that_nobody_learns() -> None:
    question = "my blue kettle from last May doesn't boil"
    quoting = agent(f"> {question}\nTurn it up.\n> Settings then Heat then Boil", 2)
    assert texts(join(user(question, 1), quoting))[1] == "Turn it up.\n> Settings then Heat then Boil"
    assert texts(join(user("Help!", 1), quoting))[1] == quoting.text, "nobody said it before"
    note = agent(question, 0, internal=True)
    content = join(note, user("Help!", 1), quoting)
    assert texts(content)[1] == "Turn it up.\n> Settings then Heat then Boil"
    assert content.omitted == {"internal notes": 1, "quoted mails": 1}


def test_what_is_left_out_is_counted_by_its_reason() -> None:
    posts = [
        user(" \n"),
        user("Why?"),
        agent("x", internal=True),
        Post(None, "beep"),
        agent("So."),
        user("a"),
        user("b"),
    ]
    content = join(*posts, Post(None, "beep", internal=True))
    assert texts(content) == ["Why?", "So."]
    assert content.omitted == {
        "internal notes": 2,
        "messages of bots": 1,
        "messages without text": 1,
        "customers' last words": 1,  # both of them, which are one message
    }


def test_what_is_cut_from_messages_that_stay_is_counted_once_per_message_and_kind() -> None:
    quote = "On 2 Jan 2026 at 10:12, Bo <bo@example.com> wrote:\n> Why?\n> Why?"
    posts = [
        user(f"Why?\n\n{quote}\n\n{quote}\n\nSent from my iPhone"),
        agent(f"Seen.\n\n{quote}", internal=True),
        agent(f"So.\n\n-- \n{CARD}"),
        user("Ah.\n\nSent from my iPhone"),
        agent("Yes."),
    ]
    content = join(*posts)
    assert texts(content) == ["Why?", "So.", "Ah.", "Yes."]
    assert content.omitted == {"internal notes": 1, "quoted mails": 1, "signatures": 2}
    assert join(user("Why?"), agent("So.\n\n\n\nBecause.")).omitted == {}, "blank lines are nothing"


def test_a_card_is_cut_from_its_writers_messages_alone() -> None:
    posts = [part for n in range(3) for part in (user(f"Q{n}?"), agent(f"A{n}.\n\n{CARD}"))]
    content = join(*posts, user("And?"), agent(f"Ask them.\n\n{CARD}", author="b"))
    assert content.omitted == {"signatures": 3}
    twice = [part for n in range(3) for part in (user(f"Q{n}?"), agent(f"A{n}.\n\n{CARD}\n\nSent from my iPhone"))]
    assert join(*twice).omitted == {"signatures": 3}, "of each message a card and a line of its program go"
    (one,) = content.conversations
    replies = [message.text for message in one.messages if message.role == "assistant"]
    assert ["+44" in reply for reply in replies] == [False, False, False, True]
    assert replies[0] == "A0.\n\nKind regards,\nAnna Smith", "the closing words and the name are style"


def test_cards_are_told_by_all_threads_and_customers_keep_theirs() -> None:
    threads = [Thread(n, f"t{n}", [user(f"Why?\n\n{CARD}"), agent(f"So {n}.\n\n{CARD}")]) for n in (1, 2, 3)]
    conversations = join_threads(threads).conversations
    assert len(conversations) == 3
    for one in conversations:
        question, reply = one.messages
        assert ("+44" in question.text, "+44" in reply.text) == (True, False)


def test_a_greeting_before_any_question_is_read_and_not_learnt() -> None:
    (one,) = join(agent("Welcome!"), user("Why?"), agent("So.")).conversations
    assert [message.weight for message in one.messages] == [0, None, None]


@pytest.mark.parametrize("posts", [[], [user("Why?")], [agent("Hello")], [agent("Hello"), user("Why?")]])
def test_a_thread_without_an_answered_question_is_a_problem(posts: list[Post]) -> None:
    content = join(*posts)
    assert content.conversations == []
    assert [(problem.row, "t1 has no question" in problem.message) for problem in content.problems] == [(1, True)]


@pytest.mark.parametrize("side", ["unknown", "user"])
def test_a_thread_with_somebody_of_whom_nothing_is_known_is_a_problem_that_names_them(side: Side) -> None:
    strangers = [Post(side, text, author) for text, author in (("Hm.", "7"), ("Hm?", ""), ("Hm!", "7"))]
    content = join(user("Why?"), *strangers, agent("So."))
    if side == "user":
        assert texts(content) == ["Why?\n\nHm.\n\nHm?\n\nHm!", "So."]
    else:
        assert content.conversations == []
        assert "t1 it isn't known whether these authors are customers or agents: 7, without an id." in (
            content.problems[0].message
        )


def test_problems_of_the_file_and_of_threads_are_in_the_order_of_its_rows() -> None:
    threads = [Thread(3, "t3", []), Thread(1, "t1", [Post("unknown", "Hm.")]), Thread(4, "t4", [user("?"), agent("!")])]
    content = join_threads(threads, [Problem(2, "no JSON"), Problem(5, "no JSON")])
    assert [problem.row for problem in content.problems] == [1, 2, 3, 5]
    assert [(one.number, one.id) for one in content.conversations] == [(4, "t4")]


@pytest.mark.parametrize(
    ("text", "html", "chosen"), [("Plain", "<p>Rich</p>", "Plain"), (" \n", "<p>Rich</p>", "Rich"), ("", "", "")]
)
def test_the_plain_text_goes_before_the_html(text: str, html: str, chosen: str) -> None:
    assert choose_text(text, html) == chosen
