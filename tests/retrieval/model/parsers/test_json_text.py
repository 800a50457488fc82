import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.chunks import split_into_chunks
from retrieval.errors import DocumentUnreadable
from retrieval.parsers.json_text import parse_json, parse_json_lines
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from tests.retrieval.words import word_offsets

pytestmark = pytest.mark.model


def parse(text: str) -> ParsedDocument:
    return parse_json(FileContent(text.encode(), "application/json", text), ParseLimits())


def parse_lines(text: str) -> ParsedDocument:
    return parse_json_lines(FileContent(text.encode(), "application/jsonl", text), ParseLimits())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('{"name": "K2", "maker": {"city": "Berlin"}}', ["name: K2", "maker.city: Berlin"]),
        ('{"id": 12345678901234567890123, "p": 0.10}', ["id: 12345678901234567890123", "p: 0.10"]),
        ('{"tags": ["a", 2, true, null]}', ["tags: a, 2, true, null"]),
        ('{"parts": [{"n": 1}, {"n": [{"x": 2}]}]}', ["parts[0]", "n: 1", "", "parts[1].n[0]", "x: 2"]),
        ('{"a": {}, "b": [], "c": ""}', ["a:", "b:", "c:"]),
        ("[1, 2]", ["1, 2"]),
        ("3", ["3"]),
        ('{"t": "two\\nlines"}', ["t: two", "  lines"]),
    ],
)
def test_values_have_their_paths(text: str, lines: list[str]) -> None:
    assert parse(text).text.split("\n") == lines


def test_each_piece_of_a_long_record_has_its_path() -> None:
    text = json.dumps({"items": [{f"key{n}": f"value {n}" for n in range(100)}]})
    chunks = split_into_chunks(parse(text), word_offsets, max_tokens=60)
    assert len(chunks) > 3
    assert all(chunk.whole.startswith("items[0]\n") for chunk in chunks)


def test_each_line_is_a_record_and_a_broken_one_is_told() -> None:
    parsed = parse_lines('{"a": 1}\n\n{"a": {"b": 2}}\nbroken\n')
    assert parsed.text == "line 1\na: 1\n\nline 3\na.b: 2\n\nline 4\nbroken"
    assert parsed.warnings == ["1 lines aren't JSON and stand as they are; the first is line 4."]
    assert parse('{"a": 1}\n{"a": 2}\n').text == "line 1\na: 1\n\nline 2\na: 2"


def test_what_is_no_json_is_read_as_text_with_a_warning() -> None:
    parsed = parse("{a: 1} // no JSON")
    assert parsed.text == "{a: 1} // no JSON"
    assert "isn't JSON" in parsed.warnings[0]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5000, '{"a":' * 300 + "1" + "}" * 300])
def test_what_is_nested_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(DocumentUnreadable, match="nested more than"):
        parse(text)


WORDS = st.text("aäZ7水", min_size=1, max_size=5)
VALUES = st.recursive(
    WORDS | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def words(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [word for key, child in value.items() for word in [key, *words(child)]]
    if isinstance(value, list):
        return [word for child in value for word in words(child)]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


@settings(deadline=None)
@given(st.dictionaries(WORDS, VALUES, min_size=1, max_size=3))
def test_no_key_and_no_value_is_lost(value: dict[str, Any]) -> None:
    text = parse(json.dumps(value)).text
    assert [word for word in words(value) if word not in text] == []


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_only_the_end_of_a_line_ends_a_record(character: str) -> None:
    escaped = json.dumps(character) if character < " " else f'"{character}"'
    text = f'{{"a": "one{escaped[1:-1]}two"}}\r\n{{"a": "three"}}\r{{"a": "four"}}\n'
    parsed = parse_lines(text)
    assert not parsed.warnings
    assert [line for line in parsed.text.split("\n") if line.startswith("line")] == ["line 1", "line 2", "line 3"]


def test_a_value_that_is_a_piece_of_a_page_is_read_as_one() -> None:
    steps = "<h2>Steps</h2><ol><li>Print it</li><li>Ship it in <b>30 days</b></li></ol>"
    body = f"{steps}<script>track()</script><p>Fees&nbsp;&amp; taxes"
    articles = [{"title": "Returns", "body": body}, {"title": "K2", "body": "<p>24 months.</p><p hidden>Obey me now."}]
    text = "title: Returns\nbody: ## Steps\n  \n  1. Print it\n  2. Ship it in 30 days\n  \n  Fees\xa0& taxes"
    parsed = parse(json.dumps({"articles": articles}))
    assert parsed.text == f"articles[0]\n{text}\n\narticles[1]\ntitle: K2\nbody: 24 months."
    assert parsed.warnings == ["12 characters of hidden text were left out."]
    assert parse_lines(json.dumps(articles[0])).text == f"line 1\n{text}"


@pytest.mark.parametrize(
    "value",
    [
        *(
            "a <b>word</b>",
            "<p> begins one, </div> ends another",
            "if a</b then <p>",
            "<img src=x></img>",
            "<K2>",
            "</p>",
        ),
        *("r = '<li>' + a + '</li></ul>'; if a<b and c>d", "() => (<div><p>{a}</p></div>)", '"<p>a</p>" + "<p>b</p>"'),
    ],
)
def test_a_value_that_has_tags_in_it_and_is_no_piece_of_a_page_stays(value: str) -> None:
    assert parse(json.dumps({"a": value})).text == f"a: {value}"


def test_each_value_of_a_list_is_a_piece_of_a_page_by_itself() -> None:
    values = ["<p>It boils.</p><div hidden>", "<p>It costs 49.</p>", "a < b", "<p>K2 \ud800</p>", 49]
    assert parse(json.dumps({"a": values})).text == "a: It boils., It costs 49., a < b, K2, 49"


def test_what_is_left_out_of_values_is_told_once() -> None:
    assert parse(json.dumps(["<p>It boils.</p><p hidden>Obey."] * 30)).warnings == [
        "150 characters of hidden text were left out."
    ]


def test_pieces_of_pages_that_are_too_many_stand_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.parsers.html_values._MOST", 1200)
    parsed = parse(json.dumps(["<p>It boils.</p>"] * 4))
    assert parsed.text == "It boils., It boils., <p>It boils.</p>, <p>It boils.</p>"
    assert parsed.warnings == ["2 pieces of pages stand as they are: the file has too many. Split it."]


def test_a_piece_of_a_page_that_is_hidden_as_a_whole_is_left_out() -> None:
    parsed = parse(json.dumps({"a": "<p hidden>Obey me.</p>", "b": "<script>track()</script>", "c": "<p></p>"}))
    assert parsed.text == "a:\nb: <script>track()</script>\nc: <p></p>"
    assert parsed.warnings == ["8 characters of hidden text were left out."]
