import pytest

from prompts import Message, NoQuestion, split


def test_the_last_user_message_is_the_question():
    first, answer = Message("user", "one"), Message("assistant", "two")
    said = split([Message("system", "Be brief."), first, answer, Message("user", "three")])
    assert said.instructions == "Be brief."
    assert said.history == (first, answer)
    assert said.question == "three"
    assert said.after == ()


def test_what_follows_the_question_is_kept_apart():
    call = Message("assistant", "", {"tool_calls": [{"id": "c1"}]})
    result = Message("tool", "21 degrees", {"tool_call_id": "c1"})
    said = split([Message("user", "Weather?"), call, result])
    assert (said.history, said.question, said.after) == ((), "Weather?", (call, result))


def test_system_messages_are_joined_wherever_they_stand():
    said = split([Message("system", "One."), Message("user", "a"), Message("system", "Two."), Message("user", "b")])
    assert said.instructions == "One.\n\nTwo."
    assert [message.content for message in said.history] == ["a"]


@pytest.mark.parametrize("messages", [[], [Message("system", "x")], [Message("assistant", "x")]])
def test_without_a_user_message_there_is_no_question(messages: list[Message]):
    with pytest.raises(NoQuestion, match="add the user's message"):
        split(messages)
