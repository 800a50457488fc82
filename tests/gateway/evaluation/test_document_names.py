import pytest

from gateway.evaluation.document_names import DocumentNames, StoreDocument
from gateway.evaluation.labels import BadLabels, LabelledQuestion

NAMES = DocumentNames(
    "handbook",
    [
        StoreDocument("prices/k2.md", "doc_1", "file-1", "k2.md"),
        StoreDocument("hours.md", "doc_2", "file-2", "hours.md"),
        StoreDocument("old/hours.md", "doc_3", "file-3", "hours.md"),
        StoreDocument("file-9", "doc_4", "file-9", "faq.html"),
    ],
)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("prices/k2.md", "prices/k2.md"),
        ("doc_1", "prices/k2.md"),
        ("file-1", "prices/k2.md"),
        ("k2.md", "prices/k2.md"),
        ("k2", "prices/k2.md"),
        ("hours.md", "hours.md"),  # a key goes before a file name, which two documents have
        ("faq.html", "file-9"),
    ],
)
def test_documents_are_meant_by_each_of_their_names(name: str, key: str) -> None:
    question = LabelledQuestion("q", "How?", {name: 2})
    assert NAMES.resolve([question]) == [LabelledQuestion("q", "How?", {key: 2})]


def test_labels_of_documents_that_are_not_there_say_which_and_what_to_do() -> None:
    questions = [LabelledQuestion(f"q{n}", "How?", {f"lost-{n}.md": 1}) for n in range(7)]
    with pytest.raises(
        BadLabels, match=r"name 7 documents that the store 'handbook' doesn't have: lost-0\.md,.*"
    ) as caught:
        NAMES.resolve(questions)
    assert "and 2 more" in str(caught.value)
    assert "braid docs add" in str(caught.value)


def test_a_judgement_of_0_needs_no_document() -> None:
    question = LabelledQuestion("q", "How?", {"lost.md": 0, "k2.md": 1})
    assert NAMES.resolve([question])[0].documents == {"prices/k2.md": 1}


def test_a_name_of_several_documents_is_refused() -> None:
    with pytest.raises(BadLabels, match=r"1 name means several documents of .*'hours' is hours\.md, old/hours\.md"):
        NAMES.resolve([LabelledQuestion("q", "How?", {"hours": 1})])
