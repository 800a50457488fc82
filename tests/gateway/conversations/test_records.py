"""The records of a file, however they are laid out, and threads of them by themselves."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.conversations.conversation import Import, UnusableFile
from gateway.conversations.records import as_dict, as_list, as_text, decode_text, read_records
from gateway.conversations.threads import Post, Thread, choose_text, join_threads

ONE, TWO = {"id": 1}, {"id": 2}


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ('[{"id": 1}, {"id": 2}]', [(1, ONE), (2, TWO)]),
        ('{"id": 1}\n\n{"id": 2}\n', [(1, ONE), (3, TWO)]),
        ('{"id": 1}', [(1, ONE)]),
        ('{"tickets": [{"id": 1}, {"id": 2}]}', [(1, ONE), (2, TWO)]),
        ('{"tickets": {"id": 1}}', [(1, {"tickets": {"id": 1}})]),
        ('{"tickets": [{"id": 1}], "users": [{"id": 5}], "count": 1}', [(1, {"id": 1, "users": [{"id": 5}]})]),
        ('{"tickets": [{"id": 1, "users": []}], "users": [{"id": 5}]}', [(1, {"id": 1, "users": []})]),
        ("", []),
    ],
)
def test_records_are_numbered_by_their_place_or_line(text: str, records: list[tuple[int, Any]]) -> None:
    assert read_records(text, ("tickets",)) == (records, [])


@pytest.mark.parametrize(
    ("text", "numbers", "faults"),
    [
        ('{"id": 1}\nno json\n{"id": 2}', [1, 3], [(2, "It is no JSON: ")]),
        ('[{"id": 1}, 3, [4]]', [1], [(2, "It is no JSON object."), (3, "It is no JSON object.")]),
        ('{"id": 1}\n"text"', [1], [(2, "It is no JSON object.")]),
        ("3", [], [(1, "It is no JSON object.")]),
        ("[" * 2000, [], [(1, "It is no JSON: ")]),
    ],
)
def test_what_is_no_record_is_a_problem_of_its_line(
    text: str, numbers: list[int], faults: list[tuple[int, str]]
) -> None:
    records, problems = read_records(text)
    assert [number for number, _ in records] == numbers
    assert [problem.row for problem in problems] == [row for row, _ in faults]
    assert all(problem.message.startswith(start) for problem, (_, start) in zip(problems, faults, strict=True))


def test_a_byte_that_is_no_text_is_named_by_its_line() -> None:
    assert decode_text("\ufeffä".encode()) == "ä"
    with pytest.raises(UnusableFile, match="Line 3 has a byte"):
        decode_text(b"one\ntwo\nthr\xff\n")


def test_members_of_another_type_are_as_if_they_were_not_there() -> None:
    assert [as_text(value) for value in ("a", 7, 1.5, True, None, ["a"])] == ["a", "7", "1.5", "", "", ""]
    assert [as_dict(value) for value in ({"a": 1}, [1], None)] == [{"a": 1}, {}, {}]
    assert [as_list(value) for value in ([1], {"a": 1}, None)] == [[1], [], []]


def join(*posts: Post) -> Import:
    return join_threads([Thread(4, "t-4", posts)])


ASK, ANSWER = Post("user", "Where is it?", "5", "1"), Post("assistant", "On its way.", "9", "2")


def test_what_is_left_out_of_a_thread_is_counted_by_its_reason() -> None:
    content = join(
        *(Post("assistant", "Thanks for writing!", "bot", "0", internal=True), Post(None, "I am a bot.", "bot", "1")),
        *(
            ASK,
            Post("user", "  \n", "5", "1"),
            ANSWER,
            Post("user", "Thanks!", "5", "3"),
            Post("user", "Bye!", "5", "4"),
        ),
    )
    (one,) = content.conversations
    assert [(message.role, message.text) for message in one.messages] == [
        ("user", "Where is it?"),
        ("assistant", "On its way."),
    ]
    assert content.omitted == {
        **{"internal notes": 1, "messages of bots": 1},
        **{"messages without text": 1, "customers' last words": 1},
    }


def test_posts_are_in_the_order_of_their_times_and_else_as_they_stand() -> None:
    (sorted_,) = join(ANSWER, ASK).conversations
    assert [message.role for message in sorted_.messages] == ["user", "assistant"]
    timeless = [Post("user", "One"), Post("assistant", "Two"), Post("user", "Three"), Post("assistant", "Four")]
    (one,) = join(*timeless).conversations
    assert [message.text for message in one.messages] == ["One", "Two", "Three", "Four"]


@pytest.mark.parametrize("posts", [[], [ASK], [ANSWER], [Post(None, "Hi"), Post("user", "Hello?")]])
def test_a_thread_without_a_question_and_a_reply_is_a_problem_by_its_number(posts: list[Post]) -> None:
    content = join(*posts)
    assert content.conversations == []
    (problem,) = content.problems
    assert (problem.row, "t-4" in problem.message) == (4, True)


def test_a_card_is_cut_from_its_agents_messages_only() -> None:
    card = "\nKind regards,\nAnna Smith\nSupport Engineer | Kestrel Ltd\n+44 20 7946 0000 | www.kestrel.example"
    threads = [
        Thread(
            n, str(n), [ASK, replace(ANSWER, text=f"Reply {n}.\n{card}"), Post("assistant", f"So.\n{card}", "7", "3")]
        )
        for n in range(3)
    ]
    text = join_threads(threads).conversations[0].messages[-1].text
    assert text.count("Kestrel Ltd") == 0, "both agents wrote three messages with it"
    few = [replace(one, posts=one.posts[: 3 if one.number < 2 else 2]) for one in threads]
    text = join_threads(few).conversations[0].messages[-1].text
    assert text.count("Kestrel Ltd") == 1, "two messages of the second are too few to tell a card by"


def test_text_goes_before_html_where_a_message_has_both() -> None:
    assert choose_text("plain", "<p>rich</p>") == "plain"
    assert choose_text(" \n", "<p>rich</p>") == "rich"
