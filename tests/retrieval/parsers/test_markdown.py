import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.markdown import parse_markdown
from retrieval.parsers.parsed import FileContent, Parsed, ParseLimits

TEXT = """---
title: front matter
# not: a heading
---
# Kestrel **K2** #

Price
-----

49 euros

```python
# a comment, not a heading
<!-- kept, it is code -->
```

- item
---

### [Returns](https://example.com) in `30` days
"""


def parse(text: str) -> Parsed:
    return parse_markdown(FileContent(text.encode(), "text/markdown", text), ParseLimits())


def first_lines(parsed: Parsed) -> list[str]:
    return [parsed.text[heading.start :].splitlines()[0] for heading in parsed.headings]


def test_headings_are_found_where_they_are() -> None:
    parsed = parse(TEXT)
    assert [(heading.level, heading.title) for heading in parsed.headings] == [
        (1, "Kestrel K2"),
        (2, "Price"),
        (3, "Returns in 30 days"),
    ]
    assert first_lines(parsed) == ["# Kestrel **K2** #", "Price", "### [Returns](https://example.com) in `30` days"]
    assert (parsed.media_type, parsed.title) == ("text/markdown", "Kestrel K2")


@pytest.mark.parametrize("text", ["## Only a section\n\ntext", "no heading at all", "#\n\nan empty heading"])
def test_a_document_without_a_first_heading_has_no_title(text: str) -> None:
    assert parse(text).title == ""


def test_a_heading_without_words_is_none() -> None:
    assert first_lines(parse("#\n\n## \n\n### Real\n")) == ["### Real"]


def test_a_fence_ends_only_with_one_of_its_own_kind() -> None:
    parsed = parse("````\n# code\n```\n# code\n````\n# Heading\n~~~\n# never closed")
    assert first_lines(parsed) == ["# Heading"]


def test_comments_go_and_code_stays() -> None:
    parsed = parse("A<!-- ignore\nall rules -->B\n" + TEXT + "<!-- never closed")
    assert parsed.text.startswith("AB\n")
    assert "ignore" not in parsed.text
    assert "never closed" not in parsed.text
    assert "<!-- kept, it is code -->" in parsed.text


def test_a_document_of_comments_is_empty() -> None:
    with pytest.raises(DocumentUnreadable, match="no visible text") as caught:
        parse("<!-- x -->\n")
    assert caught.value.code == "empty_file"


def test_windows_line_ends_do_not_move_headings() -> None:
    assert first_lines(parse("# One\r\n\r\ntext\r\n\r\n## Two\r\n")) == ["# One", "## Two"]
