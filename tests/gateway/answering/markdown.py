"""Markdown that Hypothesis makes: pieces of whatever could be code, a link or a container, and code of every kind."""

from hypothesis import strategies as st

__all__ = ["code_blocks", "pieces", "texts"]

_PARTS = (
    *("`", "``", "```", "~~~", "\n", "\n\n", "\r\n", "\r", "- ", "> ", "    ", "\t", "1. ", "# ", "---", "===", "\\"),
    *(
        "a",
        "word ",
        "字",
        " ",
        "*",
        "|",
        "\n|---|---|\n",
        "&#47;",
        "'",
        '"',
        "=",
        "(",
        ")",
        "[",
        "]",
        "!",
        "![",
        "<",
        ">",
    ),
    *("[1]", "[2]", "[9]", "x[1]", "](", "](/rel)", "](//e.x)", "](https://e.x/q?s)", "](https://ok.example/a)", "]:"),
    *("//e.x", "https://e.x/q", "https://ok.example/a", "www.e.x", "[r]: ", "[r]", "![x](//e.x 'y')", "`c`"),
    *("<b>", "</b>", "<div>", "</div>", "<pre>", "</pre>", "<code>", "</code>", "<!--", "-->", "<https://e.x/q>"),
    *("<img src=//e.x/>", "<img src='https://e.x/s'>", '<a href="https://ok.example/a">', "<img src=", "<a title="),
)
texts = st.lists(st.sampled_from(_PARTS), max_size=25).map("".join)

_WORDS = (
    "x",
    "y[0]",
    "[1]",
    " [2] = ",
    "![a](https://e.x/q)",
    "https://e.x",
    "=",
    "+",
    "<b>",
    "(",
    ")",
    " ",
    "字",
    '"',
    "|",
)
_line = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=8).map("".join).map(str.strip).filter(bool)
_lines = st.lists(_line, min_size=1, max_size=4)


@st.composite
def code_blocks(draw: st.DrawFn) -> str:
    """Draw code: fenced, indented or in a span, on its own or in lists and quotes."""
    lines = draw(_lines)
    kind = draw(st.sampled_from(("fence", "indented", "span")))
    if kind == "fence":
        fence = draw(st.sampled_from(("```", "````", "~~~")))
        lines = [fence + draw(st.sampled_from(("", "py", " json"))), *lines, fence]
    elif kind == "indented":
        lines = ["    " + line for line in lines]
    else:
        # A line that begins like a block would end the span's paragraph; a bar would end a table's cell.
        span = "\nor ".join(line.replace("|", "") for line in lines).strip()
        lines = f"So ``{span}`` it is".split("\n")
    for container in draw(st.lists(st.sampled_from(("> ", "- ", "1. ")), max_size=3)):
        first, rest = container, "> " if container == "> " else " " * len(container)
        lines = [(first if number == 0 else rest) + line for number, line in enumerate(lines)]
        if kind == "indented" and container != "> ":
            lines = [first + "So:", "", *[rest + line[len(first) :] for line in lines]]
    return "\n".join(lines)


@st.composite
def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """Draw a cut of a text into pieces."""
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
