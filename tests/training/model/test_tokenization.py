from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from tests.training.chat_templates import OPENS_THOUGHT_UNLESS_TOLD, rewrite_replies
from tests.training.model.tiny import write_tokenizer
from training.dataset import Message, Row
from training.errors import TrainingError
from training.tokenization import RowTokenizer, TokenizedRow


def decode_targets(row: TokenizedRow, plain: Any) -> list[str]:
    """Decode the stretches that the loss is on."""
    stretches: list[list[int]] = []
    for index, (token, on) in enumerate(zip(row.tokens, row.loss_mask, strict=True)):
        if on and (index == 0 or not row.loss_mask[index - 1]):
            stretches.append([])
        if on:
            stretches[-1].append(token)
    return [plain.decode(stretch) for stretch in stretches]


SYSTEM = Message("system", "Be brief.")


def test_the_loss_is_on_the_reply_and_its_end_of_turn_alone(tokenizer: RowTokenizer, plain: Any) -> None:
    (row,) = tokenizer.tokenize(1, [SYSTEM, Message("user", "Hello?"), Message("assistant", "Ahoy there.")])
    pieces = [(plain.decode([token]), on) for token, on in zip(row.tokens, row.loss_mask, strict=True)]
    assert pieces == [
        ("<|im_start|>", False), ("system", False), ("\n", False), ("Be", False), (" brief", False), (".", False),
        ("<|im_end|>", False), ("\n", False),
        ("<|im_start|>", False), ("user", False), ("\n", False), ("Hello", False), ("?", False),
        ("<|im_end|>", False), ("\n", False),
        ("<|im_start|>", False), ("ass", False), ("istant", False), ("\n", False),
        ("Ah", True), ("oy", True), (" there", True), (".", True), ("<|im_end|>", True),
        ("\n", False),
    ]  # fmt: skip


def test_the_tokens_are_those_that_the_engine_would_see(tokenizer: RowTokenizer, plain: Any) -> None:
    turns = [{"role": "user", "content": "Hello?"}]
    prompt = plain(plain.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)).input_ids
    (row,) = tokenizer.tokenize(1, [Message("user", "Hello?"), Message("assistant", "Ahoy.")])
    assert row.tokens[: row.loss_mask.index(True)] == prompt
    # The template's own system prompt is there, as it will be when the row's question is asked without one.
    assert "SmolLM" in plain.decode(prompt)


def test_all_replies_of_a_conversation_are_learnt(tokenizer: RowTokenizer, plain: Any) -> None:
    turns = [
        Message("user", "One?"),
        Message("assistant", "Aye."),
        Message("user", "Two?"),
        Message("assistant", "Nay."),
    ]
    (row,) = tokenizer.tokenize(1, turns)
    assert decode_targets(row, plain) == ["Aye.<|im_end|>", "Nay.<|im_end|>"]


def test_a_reply_without_weight_is_only_read(tokenizer: RowTokenizer, plain: Any) -> None:
    turns = [
        Message("user", "One?"),
        Message("assistant", "Aye.", weight=0),
        Message("user", "Two?"),
        Message("assistant", "Nay.", weight=1),
    ]
    (row,) = tokenizer.tokenize(1, turns)
    assert decode_targets(row, plain) == ["Nay.<|im_end|>"]
    assert "Aye." in plain.decode(row.tokens)


def test_a_name_reaches_templates_that_print_it_as_it_does_in_the_engine(base_model: Path, plain: Any) -> None:
    named = with_template(base_model, CHATML.replace("{{ message.role }}", "{{ message.name or message.role }}"))
    (row,) = named.tokenize(1, [Message("user", "Hi?", name="ingrid"), Message("assistant", "Aye.")])
    assert plain.decode(row.tokens).startswith("<|im_start|>ingrid\nHi?")


def test_developer_is_another_word_for_system(tokenizer: RowTokenizer) -> None:
    turns = [Message("user", "One?"), Message("assistant", "Aye.")]
    assert tokenizer.tokenize(1, [Message("developer", "Be brief."), *turns]) == tokenizer.tokenize(1, [SYSTEM, *turns])


def make_row(number: int, question: str, reply: str) -> Row:
    return Row(number, [Message("user", question), Message("assistant", reply)], None)


def test_long_rows_are_dropped_whole_and_named(tokenizer: RowTokenizer) -> None:
    rows = [make_row(3, "Short?", "Yes."), make_row(8, "Long? " * 100, "No."), make_row(9, "Short?", "No.")]
    tokenized, dropped = tokenizer.tokenize_rows(rows, 100)
    assert [row.number for row in tokenized] == [3, 9]
    assert [problem.row for problem in dropped] == [8]
    assert "and 100 are allowed" in dropped[0].message


def test_a_reply_that_would_end_early_is_dropped(tokenizer: RowTokenizer) -> None:
    _, dropped = tokenizer.tokenize_rows([make_row(1, "Well?", "Yes.<|im_end|> No.")], 100)
    assert "end-of-turn token in its text" in dropped[0].message


def with_template(base_model: Path, template: str) -> RowTokenizer:
    tokenizer = cast("Any", AutoTokenizer).from_pretrained(base_model)
    tokenizer.chat_template = template
    return RowTokenizer(tokenizer, frozenset({2}))


CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As templates of reasoning models do, which remove the thoughts of earlier turns.
FORGETFUL = CHATML.replace(
    "{{ message.content }}",
    "{% if loop.last or message.role != 'assistant' %}{{ message.content }}{% else %}…{% endif %}",
)
# The question stands in the prompt and not before the reply.
OTHER_QUESTION = CHATML.replace("{{ message.content }}", "{{ message.content if loop.last else '…' }}")
# The reply stands behind something that its own text decides on.
OTHER_BEGINNING = CHATML.replace(
    "{{ message.content }}",
    "{{ message.content[:1] if message.role == 'assistant' else loop.last }}{{ message.content }}",
)
# The prompt promises another beginning than the reply gets.
OTHER_PROMPT = CHATML.replace("<|im_start|>assistant\n", "<|im_start|>assistant\n<think>")
ENDLESS = CHATML.replace("<|im_end|>", "")
REFUSING = "{% if messages[0].role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}" + CHATML
TRIMMING = CHATML.replace("message.content", "message.content | trim")
TURNS = [Message("user", "One?"), Message("assistant", "Aye."), Message("user", "Two?"), Message("assistant", "Nay.")]


@pytest.mark.parametrize(
    ("template", "trait"),
    [
        (OTHER_QUESTION, "prints a question in another way"),
        (OTHER_PROMPT, r"opens a thought in the prompt for a reply \(<think>\)"),
        (OTHER_BEGINNING, "begins a reply in another way than its own generation prompt"),
    ],
)
def test_a_template_under_which_replies_cannot_be_found_is_refused(base_model: Path, template: str, trait: str) -> None:
    with pytest.raises(TrainingError, match=trait) as caught:
        with_template(base_model, template).tokenize_rows([Row(7, TURNS, None), Row(8, TURNS, None)], 1000)
    assert caught.value.code == "unsupported_chat_template"


def test_a_template_that_changes_earlier_turns_makes_a_sequence_per_reply(base_model: Path, plain: Any) -> None:
    first, second = with_template(base_model, FORGETFUL).tokenize(7, TURNS)
    assert decode_targets(first, plain) == ["Aye.<|im_end|>"]
    assert decode_targets(second, plain) == ["Nay.<|im_end|>"]
    assert "Aye." not in plain.decode(second.tokens)


def test_what_a_template_writes_after_the_end_of_turn_is_not_learnt(base_model: Path, plain: Any) -> None:
    tokenizer = cast("Any", AutoTokenizer).from_pretrained(base_model)
    tokenizer.chat_template = CHATML + "{% if not add_generation_prompt %}<|endoftext|>{% endif %}"
    (row,) = RowTokenizer(tokenizer, frozenset({0, 2})).tokenize(1, TURNS)
    assert decode_targets(row, plain) == ["Aye.<|im_end|>", "Nay.<|im_end|>"]


def test_one_row_that_the_template_cannot_take_does_not_fail_the_others(base_model: Path) -> None:
    template = CHATML.replace(
        "assistant\n{% endif", "assistant\n{% if messages[-1].content == 'Odd?' %}!{% endif %}{% endif"
    )
    rows = [make_row(1, "Odd?", "Yes."), make_row(2, "Even?", "No.")]
    tokenized, dropped = with_template(base_model, template).tokenize_rows(rows, 1000)
    assert [row.number for row in tokenized] == [2]
    assert [problem.row for problem in dropped] == [1]


def test_a_reply_with_a_thought_is_dropped_where_thoughts_are_switched_off(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, OPENS_THOUGHT_UNLESS_TOLD)
    tokenizer = RowTokenizer.load(tmp_path)
    assert tokenizer.format.variables == {"enable_thinking": False}
    rows = [make_row(1, "How far?", "<think>\nFar.\n</think>\n\nA mile."), make_row(2, "How far?", "A mile.")]
    tokenized, dropped = tokenizer.tokenize_rows(rows, 1000)
    assert [row.number for row in tokenized] == [2]
    (problem,) = dropped
    assert problem.row == 1
    assert "such as a thought where thoughts are switched off" in problem.message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("message.content.replace('far', 'near')", "it prints 'near<|im_end|>' for 'far'"),
        ("message.content ~ (' Bye.' if 'far' in message.content else '')", "adds 'Bye.' to a reply"),
    ],
)
def test_a_row_whose_reply_alone_the_template_changes_is_dropped(base_model: Path, change: str, reason: str) -> None:
    rows = [make_row(1, "How far?", "Not far"), make_row(2, "How far?", "A mile.")]
    tokenized, dropped = with_template(base_model, rewrite_replies(change)).tokenize_rows(rows, 1000)
    assert [row.number for row in tokenized] == [2]
    assert [problem.row for problem in dropped] == [1]
    assert reason in dropped[0].message


class Templated:
    """A tokenizer with another template, without the second that loading one takes."""

    def __init__(self, plain: Any, template: str) -> None:
        self._plain = plain
        self._template = template
        self.encode, self.decode = plain.encode, plain.decode

    def apply_chat_template(self, conversation: Any, **options: Any) -> str:
        return self._plain.apply_chat_template(conversation, chat_template=self._template, **options)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="<"), min_size=1, max_size=20)
REPLIES = st.builds(
    lambda before, word, after: before + word + after,
    st.text(" \n\t\r\u00a0", max_size=4),
    WORDS.filter(str.strip),
    st.text(" \n\t\r\u00a0", max_size=4),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(WORDS, REPLIES), min_size=1, max_size=3), st.sampled_from([CHATML, FORGETFUL, TRIMMING]))
@example([("Well?", "\n\nHello"), ("And?", "  Hello ")], CHATML)
def test_whatever_a_reply_begins_with_it_is_learnt_behind_the_engines_prompt(
    plain: Any, pairs: list[tuple[str, str]], template: str
) -> None:
    turns = [turn for question, reply in pairs for turn in (Message("user", question), Message("assistant", reply))]
    tokenizer = RowTokenizer(Templated(plain, template), frozenset({2}))
    tokenized, dropped = tokenizer.tokenize_rows([Row(1, turns, None)], 10_000)
    assert dropped == []
    learnt = {tuple(row.tokens[: end + 1]) for row in tokenized for end in find_ends(row)}
    expected: set[tuple[int, ...]] = set()
    for index in range(1, len(turns), 2):
        asked = [{"role": turn.role, "content": turn.text} for turn in turns[:index]]
        text = plain.apply_chat_template(asked, chat_template=template, add_generation_prompt=True, tokenize=False)
        prompt = plain(text, add_special_tokens=False).input_ids
        (sequence,) = [
            tokens for tokens in learnt if list(tokens[: len(prompt)]) == prompt and 2 not in tokens[len(prompt) : -1]
        ]
        reply = turns[index].text.strip() if template == TRIMMING else turns[index].text
        # Not the text itself: this tokenizer lacks a few bytes of rare characters.
        lossy = plain.decode(plain.encode(f"{reply}<|im_end|>", add_special_tokens=False))
        assert plain.decode(sequence[len(prompt) :]) == lossy
        expected.add(sequence)
    assert learnt == expected


def find_ends(row: TokenizedRow) -> list[int]:
    """Find the last token of each stretch that the loss is on."""
    return [
        index for index, on in enumerate(row.loss_mask) if on and not row.loss_mask[index + 1 : index + 2] == [True]
    ]


def test_a_template_that_never_ends_a_turn_is_refused(base_model: Path) -> None:
    with pytest.raises(TrainingError, match="never learn to stop"):
        with_template(base_model, ENDLESS).tokenize(7, TURNS)


def test_a_row_that_the_template_refuses_is_dropped(base_model: Path) -> None:
    rows = [Row(1, [SYSTEM, *TURNS], None), Row(2, TURNS, None)]
    tokenized, dropped = with_template(base_model, REFUSING).tokenize_rows(rows, 1000)
    assert [row.number for row in tokenized] == [2]
    assert "no system turns" in dropped[0].message
