import pytest

from retrieval.parsers.formats import ACCEPTED, FORMATS, PLAIN_TEXT, Format, find_binary_format, find_text_format

each_format = pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.kind)


def test_each_kind_and_each_extension_stands_in_the_table_once() -> None:
    kinds = [row.kind for row in FORMATS]
    extensions = [extension for row in FORMATS for extension in row.media_types]
    assert len(set(kinds)) == len(kinds)
    assert len(set(extensions)) == len(extensions)
    assert all(extension.startswith(".") and extension == extension.lower() for extension in extensions)


@each_format
def test_a_format_has_media_types_and_a_magic_of_one_sort(row: Format) -> None:
    assert all(media_type.count("/") == 1 for media_type in row.media_types.values())
    if row.signature is not None:
        assert (row.opening, row.marks, row.required) == (None, None, "")


@each_format
def test_the_sentence_of_what_is_accepted_names_each_format(row: Format) -> None:
    assert row.label in ACCEPTED


def test_the_sentence_of_what_is_accepted_reads_well() -> None:
    assert ACCEPTED == (
        "Accepted are Markdown, HTML, PDF and plain text (also JSON and CSV) in UTF-8, UTF-16 or Windows-1252."
    )


def test_plain_text_comes_last_and_takes_what_nothing_else_does() -> None:
    assert FORMATS[-1] is PLAIN_TEXT
    assert find_text_format("words", "no-name") is PLAIN_TEXT
    assert find_binary_format(b"words") is None


@each_format
def test_a_name_of_no_format_gets_the_formats_own_media_type(row: Format) -> None:
    assert row.media_type_of("download") == row.media_type_of("a.unknown") == next(iter(row.media_types.values()))
    for extension, media_type in row.media_types.items():
        assert row.media_type_of(f"Report{extension.upper()}") == media_type
