import json

import pytest

from gateway.answering.question import Message
from gateway.gates.held_out_rows import RowsUnfit, list_learnt_replies, read_held_out_rows


def make_preference(question: str, better: str, worse: str) -> str:
    reply = {"preferred_output": better, "non_preferred_output": worse}
    outputs = {name: [{"role": "assistant", "content": text}] for name, text in reply.items()}
    return json.dumps({"input": {"messages": [{"role": "user", "content": question}]}, **outputs})


def test_preferences_are_rows_with_their_better_replies() -> None:
    data = "\n".join(make_preference(f"Question {n}?", f"Kind {n}.", f"Curt {n}.") for n in range(3)).encode()
    rows = read_held_out_rows(data)
    assert [(row.number, row.question, row.reply) for row in rows] == [
        (n + 1, f"Question {n}?", f"Kind {n}.") for n in range(3)
    ]
    learnt = list_learnt_replies(data)
    assert [(one.messages, one.reply) for one in learnt] == [
        ([Message("user", f"Question {n}?")], f"Kind {n}.") for n in range(3)
    ]


@pytest.mark.parametrize("preference_first", [True, False])
def test_a_file_of_both_names_the_line_at_fault(preference_first: bool) -> None:
    row = json.dumps({"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]})
    lines = [make_preference("Why?", "So.", "No."), row]
    with pytest.raises(RowsUnfit, match="Row 2: "):
        read_held_out_rows("\n".join(lines if preference_first else lines[::-1]).encode())
