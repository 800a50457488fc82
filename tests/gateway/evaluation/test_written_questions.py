import pytest

from gateway.evaluation.written_questions import clean_question


@pytest.mark.parametrize(
    ("written", "question"),
    [
        ("How long is the warranty of the K2?", "How long is the warranty of the K2?"),
        ('Question: "How long is the warranty?"\n\nIt asks', "How long is the warranty?"),
        ("1. Was kostet der Kessel? Er kostet", "Was kostet der Kessel?"),
        ("保証期間はどのくらいですか？長いですか", "保証期間はどのくらいですか？"),
        ("What does the passage say about kettles?", None),
        ("The warranty is two years.", None),
        ("Why?", None),
        ("", None),
    ],
)
def test_a_question_is_the_first_line_up_to_its_mark(written: str, question: str | None) -> None:
    assert clean_question(written) == question
