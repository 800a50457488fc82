"""The language of a text by its function words and its script, and a message's text in HTML."""

import pytest

from gateway.conversations.html_text import read_html
from gateway.conversations.languages import find_language, is_function_word


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("the kettle and lamp", None),
        ("the kettle and the lamp", "english"),
        ("THE KETTLE AND THE LAMP", "english"),
        ("the and with der und mit", None),  # as much of one as of the other
        ("the and with der und", "english"),
        ("kettle lamp warranty", None),
        ("def f(x): return 42", None),
        ("ЧАЙ tea tea", "russian"),
        ("чай tea tea tea", None),  # a quarter of the letters is a name
        ("保証は二年です", "japanese"),
        ("保修期为两年", "chinese"),
        ("보증은 2년입니다", "korean"),
        ("", None),
    ],
)
def test_a_language_is_told_where_enough_of_it_is_there(text: str, language: str | None) -> None:
    assert find_language(text) == language


def test_words_that_hold_sentences_together_are_function_words_of_any_language() -> None:
    assert all(map(is_function_word, ("the", "und", "pour", "mit")))
    assert not any(map(is_function_word, ("kettle", "garantie", "42", "")))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("One<br>Two<br/>Three", "One\nTwo\nThree"),
        ("<p>One\n  more</p>\n<p>Two</p>", "One more\n\nTwo"),
        ("<pre>one\n  two</pre>three", "one\ntwo\nthree"),
        ("<div>One</div><div>Two</div>", "One\n\nTwo"),
        ("<a href='https://k.example/'>https://k.example</a>", "https://k.example"),
        ("<a href='https://k.example/a'>here</a>", "here (https://k.example/a)"),
        ("<a href='mailto:a@b.c'>mail</a> <a>bare</a>", "mail bare"),
        ("One<script>x</script><div class='gmail_signature'>Anna<div>x</div></div>Two", "One\n\nTwo"),
        ("One<blockquote type='cite'>Quoted</blockquote>Two", "One\n\nTwo"),
        ("<div class='my_gmail_quote_like'>Stays</div>", "Stays"),
        ("One</p></div>Two", "OneTwo"),
        ("<ul><li>a<li>b</ul>c", "- a\n- b\nc"),
        ("&pound;49 &lt;b&gt;", "£49 <b>"),
    ],
)
def test_a_message_reads_as_it_is_seen(html: str, text: str) -> None:
    assert read_html(html) == text
