import pytest

from prompts import Message, NoQuestion, split


def test_the_last_user_message_is_the_question() -> None:
    first, answer = Message("user", "one"), Message("assistant", "two")
    conversation = split([Message("system", "Be brief."), first, answer, Message("user", "three")])
    assert conversation.instructions == "Be brief."
    assert conversation.history == (first, answer)
    assert conversation.question == "three"
    assert conversation.after == ()


def test_messages_after_the_question_are_separate() -> None:
    call = Message("assistant", "", {"tool_calls": [{"id": "c1"}]})
    result = Message("tool", "21 degrees", {"tool_call_id": "c1"})
    conversation = split([Message("user", "Weather?"), call, result])
    assert (conversation.history, conversation.question, conversation.after) == ((), "Weather?", (call, result))


def test_system_messages_are_joined_wherever_they_stand() -> None:
    conversation = split(
        [Message("system", "One."), Message("user", "a"), Message("system", "Two."), Message("user", "b")]
    )
    assert conversation.instructions == "One.\n\nTwo."
    assert [message.content for message in conversation.history] == ["a"]
    assert split([Message("user", "a")]).instructions is None
    assert split([Message("system", ""), Message("user", "a")]).instructions is None


@pytest.mark.parametrize("messages", [[], [Message("system", "x")], [Message("assistant", "x")]])
def test_without_a_user_message_there_is_no_question(messages: list[Message]) -> None:
    with pytest.raises(NoQuestion, match="add the user's message"):
        split(messages)
