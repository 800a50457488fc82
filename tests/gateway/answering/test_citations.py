import random
import re
import time

import pytest

from gateway.answering.answer_text import AnswerText
from gateway.answering.citations import Citation


def run(pieces: list[str], known: set[int]) -> tuple[str, list[Citation]]:
    marks = AnswerText(frozenset(known), None)
    text = "".join([*(marks.feed(piece) for piece in pieces), marks.finish()])
    return text, list(marks.citations)


def list_cited(text: str, known: set[int]) -> list[int]:
    out, citations = run([text], known)
    assert out == text
    for one in citations:
        mark = text[one.start : one.end]
        assert (mark[0] + mark[-1] in ("[]", "【】"), str(one.number) in re.findall(r"\d+", mark)) == (True, True)
    return [citation.number for citation in citations]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("The K2 costs 89 euros [2].", [2]),
        ("[1] is where it begins", [1]),
        ('It says "31 months"[1] (see page 4)[2].', [1, 2]),
        ("Both say so [1][2].", [1, 2]),
        ("Both say so [1], [2]", [1, 2]),
        ("保修期为31个月[1]。", [1]),
        ("รับประกัน[2]", [2]),
        ("One of it [7], another [1]", [1]),
        ("In [[1]] twice", [1]),
        ("- one [1]\n- two [2]\n", [1, 2]),
        ("- [1] the guide\n> [2] the other", [1, 2]),
        ("**K2** [1] and `foo` [2]", [1, 2]),
        ("| K2 | 31 months [1] |\n| - | - |\n| [2] | x |", [1, 2]),
        ("It costs ([1], [2])", [1, 2]),
        ("- It says\n    so [1] here", [1]),
        ("so [1] & [2], [1]/[2]", [1, 2, 1, 2]),
        ("Both say so [1, 2].", [1, 2]),
        ("Both say so [2,1] and [1; 2]", [2, 1, 1, 2]),
        ("One of these isn't there [1, 9].", []),
        ("10% [1], 7.5 % [2], or 30\N{NO-BREAK SPACE}%[1] off", [1, 2, 1]),
        ("It is 31 months ([1]).", [1]),
        ("It (the K2)[1] costs 5 euros", [1]),
        ("The K2 costs 89 euros【2】.", [2]),
        ("保修期为31个月【1】【2】。", [1, 2]),
        ("So 【1†source】 and【2†manual.pdf】.", [1, 2]),
        ("So 【1, 2】 or 【2、1】", [1, 2, 2, 1]),
        ("So 【4:0†source】 or 【9】 or 【1†no】", [1]),
        ("- As it says 【1】", [1]),
    ],
)
def test_marks_are_cited_where_they_stand(text: str, numbers: list[int]) -> None:
    assert list_cited(text, {1, 2}) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "use x[0] and y[1], list[10]=3",
        "print([1]) or sum([1, 2]), make()[1], f(x)([2])",
        "list[1, 2] and [1, 2](https://example.org), x = [1, 2]",
        '{"ids": [1, 2]}',
        "matrix[1][2] and table_[1]",
        "über[1] größe[2]",
        "see [1](https://example.org)",
        "the [1]st and [2]b",
        "run `a = [1]` and ``b ` [2]`` now",
        "```python\nrows = [1]\nprint([2])\n```\n",
        "~~~\n[1]\n~~~",
        "  ````\n```\n[1]\n````",
        "- ```\n  [1]\n  ```\n",
        "1. So:\n\n   ~~~\n   [1]\n\n   [2]\n   ~~~",
        "> ```\n> [1]\n> ```\n",
        "> - ```py\n>   [1]\n>   ```",
        "So:\n\n    rows = [1]\n\n    [2]\n",
        "\trows [1]",
        "- So:\n\n      rows [1]",
        "a `code that\ngoes [1] on` here",
        "> a `code that\n> goes [1] on` here",
        "<pre>\n[1]\n\n[2]</pre>",
        "so <code>x [1]</code>, <CODE class='py'>[2]</CODE>",
        "array [0] = [2]",
        "rows [1] = 5, x = [2]",
        "at 3 + [1]",
        "x % [1] and '%s' % [2]",
        "[१] [１] [0001] [a] [] [1",
        "see [9] and [100]",
        '{"ids": [1]}',
        "{'ids': [1], 'more': [2]}",
        '{"rows": [[1], [2], [1]]}',
        '["a", [1]]',
        "It is \"[1]\" and '[2]' there",
        '["a", [1], "b"] [true,[2],false]',
        "【1】概要\n## 【2】 詳細\n- 【1】価格",
        "run `【1】` and <code>【2†source】</code>",
        "```\na 【1】\n```",
        "【注1】 【第1章】 【】 【0】 【1 【1†a\nb】 【a†b】",
    ],
)
def test_what_is_no_citation_stays_as_text(text: str) -> None:
    assert list_cited(text, {1, 2}) == []


def test_code_ends_where_markdown_ends_it() -> None:
    assert list_cited("```\n[1]\n```\nSo it is [2].", {1, 2}) == [2]
    assert list_cited("a `[1]` b [2]", {1, 2}) == [2]
    assert list_cited("one ` alone\nand then [2]", {1, 2}) == [2]
    assert list_cited("one ` alone\n\nand ` then [2]", {1, 2}) == [2]
    assert list_cited("> ```\n> [1]\nSo [2]", {1, 2}) == [2]
    assert list_cited("- ```\n  [1]\n\nSo [2]", {1, 2}) == [2]
    assert list_cited("<pre>[1]</pre> So [2]", {1, 2}) == [2]
    assert list_cited("\\`[1] and \\` [2]", {1, 2}) == [1, 2]


def cut_everywhere(text: str) -> list[list[str]]:
    """Return the text in two pieces, cut at each place, and in its single characters."""
    return [[text[:at], text[at:]] for at in range(len(text))] + [list(text)]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("It is 31 months [1, 2].", "It is 31 months."),
        ("See [1; 2].", "See."),
        ("As they say [1, 2]", "As they say"),
        ("As **both** say [1, 2]** and", "As **both** say** and"),
        ("| 31 months [1, 2] |", "| 31 months |"),
        ("It is 31 months[1].", "It is 31 months."),
        ("It is 31 months[1]. It is", "It is 31 months. It is"),
        ("It is 31 months[1][2], or (as he says[3]) 32", "It is 31 months, or (as he says) 32"),
        ("It costs €49.50[1]\nIt's blue[2]…", "It costs €49.50\nIt's blue…"),
        ('He says "31 months[1]" to a well-known friend[2]!', 'He says "31 months" to a well-known friend!'),
        ("It costs €49 [1]–[3].", "It costs €49."),
        ("So it is [1]; [2] & [3], [4]/[5], [6] - [7].", "So it is."),
        ("So it is 【1】、【2】。", "So it is。"),
        ("Options: [1], [2]", "Options:"),
        ("It is blue,[1] as it says.", "It is blue, as it says."),
        ("1. Open [1]\n2. Close [2]", "1. Open\n2. Close"),
        ("Ihre Kraftfahrzeughaftpflichtversicherung[1].", "Ihre Kraftfahrzeughaftpflichtversicherung."),
    ],
)
def test_without_passages_a_list_of_marks_and_one_behind_a_word_go_where_a_clause_ends(text: str, left: str) -> None:
    for pieces in cut_everywhere(text):
        assert run(pieces, set()) == (left, []), pieces


@pytest.mark.parametrize(
    "text",
    [
        "Options: [1] small, [2] large. Pick one.",
        "Options: [1] small and [2] large, or [3] both",
        "Pick one:\n[1] **Small**\n[2] Large",
        "- [1] Small\n- [2] Large",
        "[1] Small\n[2] 大",
        "选项：[1]小，[2]大。",
        "选项：【1】小，【2】大。",
        "the list [1, 2] has two elements",
        "sorted: [1, 2].",
        "use x[1], y[2] and list[1] here",
        "rows[1].name, obj.rows[1], f(rows[1]), a_b[1], matrix[1][2] is",
        "It is in config.maximumConnectionsPerUpstreamHost[1].",
    ],
)
def test_without_passages_what_counts_or_stands_in_a_list_stays(text: str) -> None:
    for pieces in cut_everywhere(text):
        assert run(pieces, set()) == (text, []), pieces


@pytest.mark.parametrize("unit", ["[1]", "months[1], ", " [1]–", "[1, 2, 3", "【1】、"])
def test_many_marks_take_time_by_their_number(unit: str) -> None:
    def measure(times: int) -> float:
        started = time.process_time()
        run(list(unit * times), set())
        return time.process_time() - started

    assert measure(4000) < 30 * measure(500) + 0.1  # 64 times as much where each looks at all others


@pytest.mark.parametrize("unit", [" ", "> ", "|"])
def test_a_line_of_what_blocks_begin_with_takes_time_by_its_length(unit: str) -> None:
    def measure(times: int) -> float:
        start = time.process_time()
        run([unit * times + "x-"], set())
        return time.process_time() - start

    assert measure(24_000) < 30 * measure(3000) + 0.1


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("The K2 costs 89 euros [2].", "The K2 costs 89 euros."),
        ("So [1][2] it is [3]", "So it is"),
        ("A discount of 10% [1].", "A discount of 10%."),
        ("So. [1] It is", "So. It is"),
        ("use x[0] and `[1]`", "use x[0] and `[1]`"),
        ("```\n [1]\n```", "```\n [1]\n```"),
        ("array [0] = [3]", "array [0] = [3]"),
        ("array [1] = 3, as it says [1]", "array [1] = 3, as it says"),
        ("> ```\n> x [1]\n> ```\n> So [1]", "> ```\n> x [1]\n> ```\n> So"),
        ("x\n\n    y [1]\n\nz [1]", "x\n\n    y [1]\n\nz"),
        ('As JSON: {"ids": [1]}', 'As JSON: {"ids": [1]}'),
        ("[[1], [2], [3]]", "[[1], [2], [3]]"),
        ("The K2 costs 89 euros 【2】.", "The K2 costs 89 euros."),
        ("保修期为31个月【1】【2†source】。", "保修期为31个月。"),
        ("So 【4:0†source】 and 【1, 2†a】", "So and"),
        ("【1】概要\n【2】詳細", "【1】概要\n【2】詳細"),
        ("【1†source】 So", " So"),
        ("【1、2】 So", " So"),
        ("【重要】 so", "【重要】 so"),
        ("So it is [[1]], as it says [[2]].", "So it is, as it says."),
        ("So [1], [2], and more", "So, and more"),
        ('["a", [1], "b"]', '["a", [1], "b"]'),
        (
            '{"c": ["x", [1], "y"], "d": [true,[1],false], "e": [[2]]}',
            '{"c": ["x", [1], "y"], "d": [true,[1],false], "e": [[2]]}',
        ),
        ("[[1]]", "[[1]]"),
        ("[1]", "[1]"),
        ("[1] [2]", "[1] [2]"),
    ],
)
def test_without_passages_no_mark_is_let_through(text: str, left: str) -> None:
    assert run([text], set()) == (left, [])


PARTS = (
    *("[[1]]", "[[", "]]", "【1】", "【2†source】", "【3:1†s】", "【", "】", "†", "、", ":"),
    *("[1]", "[2]", "[9]", "[12]", "[1, 2]", "[2;12]", "x[1]", "[", "]", "(", ")", "1", ", "),
    *("months", "–", ". ", "; ", "€49", "[1][2]", "[3]", " & ", "*", "|", "\t", "?", "。", "”", ") ", ": "),
    *("`", "``", "```", "~~~", "\n", "\n\n", " ", " ", "word", "字", "_", ".", ",", '"', '": ', "{", "}"),
)


def _strip(pattern: str, text: str) -> str:
    """Take marks away until none is left: two halves may make one."""
    while (less := re.sub(pattern, "", text)) != text:
        text = less
    return text


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("known", [{1, 2, 12}, set()])
def test_pieces_of_any_size_give_the_same_text_and_marks(seed: int, known: set[int]) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choice(PARTS) for _ in range(chance.randrange(1, 60)))
    whole = run([text], known)
    for size in (1, 2, 3, 7):
        assert run([text[at : at + size] for at in range(0, len(text), size)], known) == whole
    if known:
        assert whole[0] == text
    else:
        marks = r"\[\[[\d,;]+\]\]|\[[\d,;]+\]|【[\d:,;、]+(?:†[^【】\n]*)?】|[ ,;、&–]"
        assert _strip(marks, whole[0]) == _strip(marks, text)


def test_text_that_cannot_become_a_mark_is_not_held_back() -> None:
    marks = AnswerText(frozenset({1}), None)
    assert marks.feed("an array a[i") == "an array a[i"
    assert marks.feed("] and [1") == "] and "
    assert marks.feed("]") == ""
    assert marks.feed(" so") == "[1] so"
    assert marks.feed(" [1, 2, 3") == " "
    assert marks.feed(", 4, 5, 6, 7, 8, 9, 10, 11") == "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"


@pytest.mark.parametrize("known", [{1}, set()])
def test_at_most_seven_characters_of_prose_are_held_back(known: set[int]) -> None:
    for number in ("a [123] ", "a [1234", "a [99999999999", "a  [12"):
        text = AnswerText(frozenset(known), None)
        assert len(number) - len(text.feed(number)) <= 7
