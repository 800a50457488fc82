from hypothesis import given
from hypothesis import strategies as st

from retrieval.parsers import ParsedDocument
from retrieval.parsers.markdown import parse_markdown
from retrieval.parsers.parsed_document import FileContent, ParseLimits
from retrieval.points import ContextualChunk, contextualize
from retrieval.sign_runs import measure_thinned, thin_runs
from tests.retrieval.requests import ingest_request
from tests.retrieval.words import word_offsets


def cut(parsed: ParsedDocument) -> list[ContextualChunk]:
    return contextualize(parsed, ingest_request(max_chunk_tokens=40), word_offsets, window=256)


def make_table(width: int) -> ParsedDocument:
    rule = "-" * width
    text = f"| Model | Price |\n| {rule} | {rule} |\n" + "".join(f"| K{n} | {n} euros |\n" for n in range(30))
    return parse_markdown(FileContent(text.encode(), "text/markdown", text), ParseLimits())


@given(st.text(alphabet="ab -=._\n\u2500", max_size=80))
def test_tokens_are_those_of_the_text_whose_runs_are_short(text: str) -> None:
    kept = measure_thinned(word_offsets)(text)
    short = thin_runs(text)
    assert [text[at] for at in kept] == [short[at] for at in word_offsets(short)]
    assert thin_runs(short) == short


def test_a_tables_rule_takes_no_room_of_its_rows() -> None:
    narrow, wide = cut(make_table(3)), cut(make_table(200))
    assert [chunk.digest for chunk in wide] == [chunk.digest for chunk in narrow]
    assert all(chunk.text.startswith(f"| Model | Price |\n| {'-' * 200} |") for chunk in wide)
    assert all("----" not in chunk.indexed_text for chunk in wide)
    text = make_table(200).text
    assert all(chunk.text[chunk.lead :] == text[chunk.start : chunk.end] for chunk in wide)


def test_a_line_to_write_on_counts_as_one_of_signs() -> None:
    assert thin_runs(f"Name: {'_' * 40} and snake_case, __all__") == "Name: ___ and snake_case, __all__"


def test_lines_of_signs_are_no_chunks_of_their_own() -> None:
    text = "\n\n".join(f"{'=' * 79}\nThe K{n} costs {n} euros.\n{'-' * 79}" for n in range(9))
    chunks = cut(ParsedDocument("text/plain", "", text, []))
    assert len(chunks) <= 4
    assert all("euros" in chunk.text for chunk in chunks)
