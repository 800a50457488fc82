from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answering.retrieve import Evidence
from retrieval.document_names import find_name, find_names
from retrieval.messages import Passage


@pytest.mark.parametrize(
    ("title", "filename", "key", "name"),
    [
        ("User manual", "k2.md", "k2.md", "k2"),
        ("User manual", "manual.md", "products/K9-pro/manual.md", "products K9 pro"),
        ("User manual", "manual.md", "https://kestrel.example/k9/manual.md", "k9"),
        ("User manual", "manual.md", "file-8a7b6c5d", ""),
        ("Opening hours", "opening-hours_oslo.html", "opening-hours_oslo.html", "oslo"),
        ("K2 Pro", "k2-pro.md", "k2-pro.md", ""),
        ("The repair bench", "repairs.md", "repairs.md", ""),
        ("Usermanual", "user-manual.md", "user-manual.md", ""),
        ("Start", "index.html", "docs/k2/index.html", "docs k2"),
        ("Start", "README", "README", ""),
        ("Report", f"{'0123456789abcdef' * 4}.pdf", "x", ""),
        (
            "Notes",
            "a very long name of a file that nobody would read to its end v2.md",
            "",
            "that nobody would read to its end v2",
        ),
        ("", "", "", ""),
    ],
)
def test_a_name_is_what_the_files_name_says_more_than_the_title(title: str, filename: str, key: str, name: str) -> None:
    assert find_name(title, filename, key) == name


def payload(document: str, **fields: Any) -> dict[str, Any]:
    return {"document": document, "heading": "User manual > Warranty", "filename": f"{document}.md", **fields}


def test_documents_are_named_where_others_have_their_title_or_their_name_is_a_number() -> None:
    oslo, bergen = payload("a", name="oslo", key="a"), payload("b", name="bergen", key="b", heading="User manual > Use")
    assert find_names([oslo, payload("a", name="oslo", key="a")]) == {}
    assert find_names([oslo, bergen]) == {"a": "oslo", "b": "bergen"}
    assert find_names([payload("a", name="k2", key="a")]) == {"a": "k2"}
    assert find_names([payload("a", key="x/1"), payload("b", key="x/2")]) == {"a": "x/1", "b": "x/2"}
    alone = payload("c", heading="", key="c")
    assert find_names([oslo, bergen, alone]) == {"a": "oslo", "b": "bergen"}


def make_passage(**fields: Any) -> Passage:
    ids = {name: "" for name in ("id", "store", "document", "key", "file_id", "text")}
    return Passage(**{**ids, "version": 1, "start": 0, "end": 0, "score": 1.0, "attributes": {}, **fields})


@pytest.mark.parametrize(
    ("heading", "name", "title"),
    [
        ("User manual > Warranty", "k2", "User manual (k2) > Warranty"),
        ("User manual", "k2", "User manual (k2)"),
        ("User manual > Warranty", "", "User manual > Warranty"),
        ("", "", "manual.md"),
        ("", "k2", "manual.md (k2)"),
    ],
)
def test_a_passages_title_has_the_documents_name_behind_its_title(heading: str, name: str, title: str) -> None:
    assert make_passage(heading=heading, name=name, filename="manual.md").title == title


def test_two_manuals_with_one_title_have_two_titles_in_the_prompt() -> None:
    heading = "User manual > Warranty"
    names = find_names(payload(name, name=name, key=f"{name}.md") for name in ("k2", "k9"))
    passages = tuple(make_passage(heading=heading, name=name, filename="manual.md") for name in names.values())
    shown = Evidence("found", passages).for_prompt()
    assert [one.title for one in shown or ()] == ["User manual (k2) > Warranty", "User manual (k9) > Warranty"]


keys = st.text("ab/-_. 19K", max_size=12)


@given(st.lists(keys, min_size=2, max_size=5, unique=True), st.sampled_from(("Manual", "K1", "ab")))
def test_documents_of_one_title_never_have_the_same_name(ids: list[str], title: str) -> None:
    files = [(key, key.rpartition("/")[2]) for key in ids]
    points = [
        {"document": key, "heading": title, "filename": filename, "key": key, "name": find_name(title, filename, key)}
        for key, filename in files
    ]
    names = find_names(points)
    assert len(set(names.values())) == len(ids)
