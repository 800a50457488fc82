"""Votes and links to other pages behind an article, as generators write them that name neither."""

import time

import pytest

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.html import parse_html
from retrieval.parsers.parsed_document import FileContent, ParseLimits

pytestmark = pytest.mark.model

ARTICLE = "<h1>Scale</h1><p>Descale every two months.</p><p>Unplug it first.</p>"
TEXT = "# Scale\n\nDescale every two months.\n\nUnplug it first."
LINK = "<a class='group' href='/x'><span class='flex'><span class='text-xs'>{}</span><span>Filling</span></span></a>"
ENDINGS = {
    "GitBook": (
        f"<div class='flex mt-6'>{LINK.format('Previous')}{LINK.format('Next')}</div><div class='flex'><p>Last updated "
        "<time>2 months ago</time></p></div><div><p class='text-sm'>Was this helpful?</p><div role='radiogroup'>"
        "<button role='radio'></button></div></div>"
    ),
    "relations": "<div><a rel='prev' href='/a'>Filling</a><a rel='next' href='/b'>Pouring</a></div>",
    "arrows": "<p><a href='/a'>← Filling</a> | <a href='/b'>Pouring →</a></p>",
    "names": "<div><a class='footer-prev' href='/a'>Filling</a></div><a aria-label='Next page' href='/b'>Pouring »</a>",
    "words": "<div><a href='/b'>Next: Pouring</a></div>",
    "both words": "<p><a href='/a'>Previous: Filling</a></p><p><b><a href='/b'>Next: Pouring</a></b></p>",
    "word": "<p><a href='/b'>Next →</a></p>",
    "Freshdesk": "<p>Did you find it helpful?</p><span><a href='#'>Yes</a></span> <a href='#'>No</a>",
    "counts": "<div><h3>Was this article helpful?</h3><label>Yes</label><label>No</label><p>3 out of 4</p></div>",
    "Mintlify": "<div class='feedback-toolbar'><p>Good?</p></div><div id='pagination'><a href='/a'>Filling</a></div>",
    "German": "<p>War dieser Artikel hilfreich?</p><a href='#'>Ja</a> <a href='#'>Nein</a>",
    "French": "<p>Cet article vous a-t-il été utile ?</p><div><a href='/b'>Suivant</a></div>",
    "Spanish": "<p>¿Te ha resultado útil?</p><a href='/a'>Anterior</a><a href='/b'>Siguiente</a>",
    "Japanese": "<p>この記事は役に立ちましたか？</p><a href='/b'>次へ</a>",
    "Chinese": "<p>这篇文章有帮助吗？</p><a href='/b'>下一页</a>",
}


def read(page: str) -> str:
    text = f"<html><body>{page}</body></html>"
    return parse_html(FileContent(text.encode(), "text/html", text), ParseLimits()).text


@pytest.mark.parametrize("around", ["<main>{}</main>", "<div>{}</div>", "<main><article>{}</article></main>"])
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_what_is_behind_every_article_is_not_of_it(ending: str, around: str) -> None:
    assert read(around.format(ARTICLE + ending)) == TEXT


@pytest.mark.parametrize(
    ("ending", "kept"),
    [
        ("<h2>Is this kettle useful for tea?</h2><p>Yes.</p>", "## Is this kettle useful for tea?\n\nYes."),
        (
            "<h2>Was this helpful?</h2><p>So we ask below each page.</p>",
            "## Was this helpful?\n\nSo we ask below each page.",
        ),
        ("<p>Was this helpful?</p><p>Next is the lid.</p>", "Was this helpful?\n\nNext is the lid."),
        ("<h2>Next steps</h2><ul><li><a href='/a'>Next: the lid</a></li></ul>", "## Next steps\n\n- Next: the lid"),
        ("<p><b><a href='/a'>Weiter: der Deckel</a></b></p><p>Was this helpful?</p>", "Weiter: der Deckel"),
        ("<p><a href='/a'>Next steps</a></p>", "Next steps"),
        ("<p>The next one is <a rel='next' href='/a'>Filling</a>.</p>", "The next one is Filling."),
        ("<p><a href='/a'>Ask us →</a></p>", "Ask us →"),
        ("<p>Last updated on 3 May 2026</p><p>Was this page helpful?</p>", "Last updated on 3 May 2026"),
        ("<table><tr><th>Lid<th>Fits</tr><tr><td>K2<td>No</tr></table>", "Lid | Fits\nK2 | No"),
        ("<p>49.50</p><p>Was this page helpful?</p>", "49.50"),
        ("<p>Modified kettles were banned long ago</p>", "Modified kettles were banned long ago"),
        ("<div><p>Ask us.</p><p><a rel='next' href='/a'>Filling it with water</a></p></div>", "Ask us."),
        ("<div>Ask us.<p><a rel='next' href='/a'>Next: filling it with water</a></p></div>", "Ask us."),
    ],
)
def test_what_only_looks_like_that_stays(ending: str, kept: str) -> None:
    assert read(f"<main>{ARTICLE}{ending}</main>") == f"{TEXT}\n\n{kept}"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who can help you with this?", "0800 123 4567"),
        ("When does this desk help you?", "8:00–17:00"),
        ("Is this useful without power?", "No, no"),
        ("Which part of this article was most useful for your garden?", "1 / 2"),
        ("Welche Nummer ist bei diesem Fehler hilfreich?", "030 123456"),
        ("Quel est le volume utile de cet appareil ?", "1,7"),
        ("¿Cuántos años de vida útil tiene esta batería?", "5 - 7"),
        ("¿Cuál es el horario útil?", "08:00 - 17:00"),
        ("Qual è il numero utile per questa zona?", "800 123 456"),
        ("Hoeveel nuttige ruimte heeft deze auto?", "1.200"),
        ("Какой полезный объём у этого чайника?", "1,7"),
        ("この番号は役に立ちますか？", "03-1234-5678"),
        ("这个电池的有用容量是多少？", "5,000"),
        ("이 문제는 어디서 도움을 받나요?", "02-123-4567"),
    ],
)
def test_a_page_s_own_question_and_its_answer_stay(question: str, answer: str) -> None:
    kept = f"{TEXT}\n\n## {question}\n\n{answer}"
    assert read(f"<main>{ARTICLE}<h2>{question}</h2><p>{answer}</p></main>") == kept
    assert read(f"<main>{ARTICLE}<p>{question} {answer}</p></main>") == f"{TEXT}\n\n{question} {answer}"


@pytest.mark.parametrize(
    "vote",
    [
        "Did this answer your question?",
        "Did you find this information useful?",
        "How helpful was this page?",
        "Hat Ihnen diese Seite geholfen?",
        "Avez-vous trouvé cet article utile ?",
        "Ces informations vous ont-elles été utiles ?",
        "¿Le fue útil este artículo?",
        "Este artigo foi útil?",
        "Questo articolo ti è stato utile?",
        "Was dit artikel nuttig?",
        "Czy ten artykuł był pomocny?",
        "Была ли эта статья полезной?",
        "お役に立ちましたか？",
        "このページの情報は参考になりましたか",
        "此页面是否有帮助？",
        "这篇文章对您有帮助吗？",
        "이 문서가 도움이 되었나요?",
    ],
)
def test_a_vote_is_one_in_its_language(vote: str) -> None:
    assert read(f"<main>{ARTICLE}<p>{vote}</p><p>3 / 4</p></main>") == TEXT


def test_a_section_about_pagination_is_read() -> None:
    section = "<div id='pagination'><h2>Pagination</h2><p>Ask for 20 rows.</p></div>"
    assert read(f"<main>{ARTICLE}{section}</main>") == f"{TEXT}\n\n## Pagination\n\nAsk for 20 rows."
    assert read(f"<main>{ARTICLE}{section.replace('id=', 'class=')}</main>") == TEXT


def test_programs_behind_the_text_hide_no_vote() -> None:
    assert read(f"<div>{ARTICLE}<p>Was this helpful?</p></div><script>{'x = 1;' * 2000}</script>") == TEXT


def test_a_page_that_is_nothing_else_is_read() -> None:
    assert read("<main><p>Was this page helpful?</p></main>") == "Was this page helpful?"
    with pytest.raises(DocumentUnreadable):
        read("<main></main>")


@pytest.mark.parametrize(
    "ending",
    [
        "<div>" * 1900 + "Was this helpful?",
        "<a href='/x'>Next</a>" * 20_000,
        "<p>Was this helpful?</p>" * 20_000,
        "<p>" + "yes no " * 50_000,
        "<p>" + "this helpful " * 12 + "</p>" * 20,
        "<p>Was this helpful?</p>" + "<div>" * 190 + "maybe<span hidden>" + "<b></b>" * 500_000,
    ],
)
def test_an_ending_costs_its_length(ending: str) -> None:
    began = time.process_time()
    assert "Descale" in read(f"<main>{ARTICLE}{ending}</main>")
    assert time.process_time() - began < 10
