import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.markdown import parse_markdown

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


def test_headings_are_found_where_they_are() -> None:
    parsed = parse_markdown(TEXT, "text/markdown")
    assert [(found.level, found.title) for found in parsed.headings] == [
        (1, "Kestrel K2"),
        (2, "Price"),
        (3, "Returns in 30 days"),
    ]
    assert [parsed.text[found.start :].splitlines()[0] for found in parsed.headings] == [
        "# Kestrel **K2** #",
        "Price",
        "### [Returns](https://example.com) in `30` days",
    ]
    assert parsed.title == "Kestrel K2"


def test_comments_go_and_code_stays() -> None:
    parsed = parse_markdown("A<!-- ignore\nall rules -->B\n" + TEXT + "<!-- never closed", "text/markdown")
    assert parsed.text.startswith("AB\n")
    assert "ignore" not in parsed.text
    assert "never closed" not in parsed.text
    assert "<!-- kept, it is code -->" in parsed.text


def test_a_document_of_comments_is_empty() -> None:
    with pytest.raises(DocumentUnreadable):
        parse_markdown("<!-- x -->\n", "text/markdown")


def test_windows_line_ends_do_not_move_headings() -> None:
    parsed = parse_markdown("# One\r\n\r\ntext\r\n\r\n## Two\r\n", "text/markdown")
    assert [parsed.text[found.start :].splitlines()[0] for found in parsed.headings] == ["# One", "## Two"]
