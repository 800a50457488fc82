from typing import Any

import msgspec
import pytest

from gateway.demo.edit import EditOutcome

GOOD = EditOutcome(
    document="k3-glass.md",
    old_text="is £57.00,",
    new_text="is £61.50,",
    question="What is the price of the K3 Glass?",
    old_value="£57.00",
    new_value="£61.50",
    old_answer="It is £57.00.",
    new_answer="Ahoy.\nIt is £61.50.",
    seconds_until_live=1.0,
    seconds=2.0,
    adapter_digest_before="a" * 64,
    adapter_digest_after="a" * 64,
    fingerprint_before="rel_1",
    fingerprint_after="rel_1",
)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"old_answer": "No idea."}, "before the edit"),
        ({"new_answer": "It is £57.00."}, "after the edit"),
        ({"new_answer": "It was £57.00 and is £61.50."}, "after the edit"),
        ({"adapter_digest_after": "b"}, "the adapter changed"),
        ({"fingerprint_after": "rel_2"}, "the release changed"),
    ],
)
def test_an_edit_that_went_otherwise_says_how(change: dict[str, Any], fault: str) -> None:
    assert GOOD.list_faults() == []
    (text,) = msgspec.structs.replace(GOOD, **change).list_faults()
    assert fault in text


def test_an_edit_is_described_in_four_lines() -> None:
    question, before, after, seconds = GOOD.describe().splitlines()
    assert question == "question: What is the price of the K3 Glass?"
    assert before == "before:   It is £57.00."
    assert after == "after:    Ahoy. / It is £61.50."
    assert seconds.startswith("2.0 s from the save to the new answer")
    assert "adapter unchanged" in seconds


def test_a_changed_adapter_stands_out() -> None:
    assert "adapter CHANGED" in msgspec.structs.replace(GOOD, adapter_digest_after="b" * 64).describe()
