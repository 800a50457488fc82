import pytest

from retrieval.parsers.html import parse_html
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits

pytestmark = pytest.mark.model

CONTENT = "<h1>Warranty</h1><p>It lasts 19 months.</p><h2>Claims</h2><p>Write to us.</p>"
TEXT = "# Warranty\n\nIt lasts 19 months.\n\n## Claims\n\nWrite to us."
LINKS = "<ul><li><a href='/a'>Other</a></li><li><a href='/b'>Pages</a></li></ul>"


def parse(body: str) -> ParsedDocument:
    html = f"<!doctype html><html><head><title>ACME</title></head><body>{body}</body></html>"
    return parse_html(FileContent(html.encode(), "text/html", html), ParseLimits())


@pytest.mark.parametrize(
    "body",
    [
        "<a href='#m'>Skip</a><header><h2>ACME</h2>{}</header><main>{}</main><aside>{}</aside><footer>© ACME</footer>",
        "<div class='related' role='navigation'>{}</div><div role='main'>{}</div><div>{}</div><div>© ACME</div>",
        "<div>{}<article role='main'>{}</article><div class='copyright'>{}</div></div>",
        "<main hidden>{0}</main>{0}<main>{1}</main>",
    ],
)
def test_what_stands_around_the_main_part_of_a_page_is_left_out(body: str) -> None:
    page = parse(body.format(LINKS, CONTENT, LINKS))
    assert page.text == TEXT
    assert [heading.title for heading in page.headings] == ["Warranty", "Claims"]
    assert page.title == "ACME"


@pytest.mark.parametrize(
    "around",
    [
        "<div role='navigation'>{}</div>",
        "<search>{}</search>",
        "<div role='dialog' aria-label='Cookies'>We use cookies.</div>",
        "<ol id='breadcrumbs'><li>Home</li></ol>",
        "<p id='breadcrumbs'>Home » Warranty</p>",
        "<div class='row print:hidden'>Was this helpful?</div>",
        "<div class='d-print-none'>Was this helpful?</div>",
        "<div id='toc' class='toc2'><b>Contents</b>{}</div>",
        "<div id='TOC'>{}</div>",
        "<div role='contentinfo'>© ACME</div>",
    ],
)
def test_what_is_navigation_by_its_role_or_its_class_is_left_out(around: str) -> None:
    assert parse(CONTENT + around.format(LINKS)).text == TEXT
    assert parse(f"<main>{around.format(LINKS)}{CONTENT}</main>").text == TEXT


def test_a_heading_of_a_wiki_is_without_the_link_that_edits_its_section() -> None:
    page = parse("<h2>Claims<span class='mw-editsection'>[<a href='/e'>edit</a>]</span></h2><p>Write to us.</p>")
    assert page.text == "## Claims\n\nWrite to us."


def test_the_classes_of_a_body_say_what_is_on_the_page_and_hide_nothing() -> None:
    html = f"<html><body class='article toc noprint'>{CONTENT}</body></html>"
    assert parse_html(FileContent(html.encode(), "text/html", html), ParseLimits()).text == TEXT


@pytest.mark.parametrize(
    "page",
    [
        "<h1 id='breadcrumbs'>Warranty</h1>{}",
        "<section id='breadcrumbs'><h1>Warranty</h1>{}</section>",
        "<div id='toc' class='section'><h1>Warranty</h1>{}</div>",
        "<div id='toc' class='document'><h1>Warranty</h1>{}</div>",
        "<main id='table-of-contents' class='toc'><h1>Warranty</h1>{}</main>",
        "<div role='main' class='toc'><h1>Warranty</h1>{}</div>",
        "<div class='page no-print'><div id='toc'><div role='Main'><h1>Warranty</h1>{}</div></div></div>",
        "<h1>Warranty</h1><dl><dt id='toc'>{}</dt></dl>",
    ],
)
def test_a_page_on_what_navigation_is_called_stays(page: str) -> None:
    assert parse(page.format("It lasts.")).text == "# Warranty\n\nIt lasts."


@pytest.mark.parametrize(
    "body",
    [
        "<main>{}<footer>Posted in News</footer></main>",
        "<main><article><header>{}</header><footer>Was it helpful?</footer></article></main>",
        "<div role='main'><article><section>{}</section><footer>Tags</footer></article></div>",
    ],
)
def test_the_footer_of_the_main_part_is_left_out(body: str) -> None:
    assert parse(body.format(CONTENT)).text == TEXT


def test_other_footers_of_the_main_part_stay() -> None:
    page = parse(f"<main>{CONTENT}<article>K2<footer>49 €</footer></article><blockquote>So.<footer>Ann</footer></main>")
    assert page.text == f"{TEXT}\n\nK2\n\n49 €\n\nSo.\n\nAnn"


@pytest.mark.parametrize(
    "card",
    [
        "<article><h1>K2</h1><footer>49 €</footer></article><article><h1>K7</h1><footer>59 €</footer></article>",
        "<h1>Prices</h1><div><p>K2</p><footer>49 €</footer></div><div><p>K7</p><footer>59 €</footer></div>",
        "<h1>Prices</h1><ul><li>K2<footer>49 €</footer></li><li>K7<footer>59 €</footer></li></ul>",
    ],
)
def test_the_footers_of_cards_stay(card: str) -> None:
    text = parse(f"<main>{card}<footer>Was it helpful?</footer></main>").text
    assert all(word in text for word in ("K2", "49 €", "K7", "59 €"))
    assert "helpful" not in text


def test_asides_and_headers_in_the_main_part_stay() -> None:
    page = parse("<main><header><h1>Warranty</h1><p>Short.</p></header><aside>Note: no heat.</aside></main>")
    assert page.text == "# Warranty\n\nShort.\n\nNote: no heat."


def test_the_title_of_a_page_stays_where_it_stands_outside_of_the_main_part() -> None:
    page = parse("<header><h1>Warranty</h1><p>ACME</p></header><main><p>It lasts 19 months.</p></main>")
    assert page.text == "# Warranty\n\nIt lasts 19 months."
    assert parse("<nav><h1>ACME</h1></nav><main>It lasts.</main>").text == "It lasts."


@pytest.mark.parametrize(
    "header",
    [
        "<nav><h1>ACME</h1></nav>",
        "<h1><img src='acme.svg' alt='ACME'></h1>",
        "<h1>ACME</h1>",
        "<aside><h1>Sale</h1></aside>",
    ],
)
def test_the_title_is_what_is_shown_last_before_the_main_part(header: str) -> None:
    body = f"<header>{header}</header><div><h1>Warranty</h1></div><main>It lasts.</main><footer><h1>News</h1></footer>"
    assert parse(body).text == "# Warranty\n\nIt lasts."
    assert parse("<main>It lasts.</main><footer><h1>News</h1></footer>").text == "It lasts."


@pytest.mark.parametrize(
    "body",
    [
        f"<main></main>{CONTENT}",
        f"<main><h1>Hi</h1></main><section>{CONTENT}</section>",
        f"<header>{CONTENT}</header><footer>Open from 9 to 17.</footer>",
    ],
)
def test_a_page_whose_content_is_not_in_its_main_part_is_read_whole(body: str) -> None:
    page = parse(body)
    assert all(line in page.text for line in ("It lasts 19 months.", "Write to us."))
    assert ("Open from 9 to 17." in page.text) == ("Open" in body)


def test_text_between_the_main_part_and_what_follows_is_no_content() -> None:
    assert parse(f"<main>{CONTENT}</main>behind<p>it</p>").text == TEXT
    assert parse(f"<main>{CONTENT}</main><main>Second.</main>").text == f"{TEXT}\n\nSecond."


@pytest.mark.parametrize(
    "contents",
    ["<p class=MsoToc1><a href='#_Toc1'>Prices 1</a></p>", "<div class='toc-macro r1'><ul><li>Prices</ul></div>"],
)
def test_tables_of_contents_of_word_and_confluence_are_no_text(contents: str) -> None:
    assert parse(f"{contents}<h1>Guide</h1><p>It costs 49 euros.").text == "# Guide\n\nIt costs 49 euros."
