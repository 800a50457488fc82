"""What pages and lists of a site say, by themselves, and the keys and addresses that follow from it."""

import pytest

from gateway.sources.page_key import make_key
from gateway.sources.web_client import WebResponse, normalize
from gateway.sources.web_list import SiteList, SitemapUnreadable, read_llms_txt, read_sitemap
from gateway.sources.web_page import read_page, read_text, write_utf8

URL = "https://x.example/docs/a"


def answer(body: str | bytes, **headers: str) -> WebResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return WebResponse(URL, 200, named, body.encode() if isinstance(body, str) else body)


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/html", "ä".encode(), "ä"),
        ("text/html; charset=ISO-8859-1", b"\xe4", "ä"),
        ('text/html; Charset="windows-1252"', b"\x80", "€"),
        ("text/html; charset=no-such-set", "ä".encode(), "ä"),
        ("text/html", b"a\xffb", "a\ufffdb"),
    ],
)
def test_a_body_is_read_in_the_character_set_that_it_names(kind: str, body: bytes, text: str) -> None:
    assert read_text(answer(body, content_type=kind)) == text


@pytest.mark.parametrize(
    ("kind", "body", "document"),
    [
        ("text/html; charset=windows-1251", "<p>Цена 49".encode("cp1251"), "<p>Цена 49".encode()),
        ("text/plain; charset=gb2312", "價格49".encode("gb18030"), "價格49".encode()),
        ("text/html; charset=iso-8859-1", "<p>49 €".encode("cp1252"), "<p>49 €".encode()),
        ("text/html; charset=utf-16", "<p>49 €".encode("utf-16"), "<p>49 €".encode("utf-16")),  # its mark says so
        ("text/html; charset=utf-16le", "<p>Цена 49".encode("utf-16-le"), "<p>Цена 49".encode()),
        ("text/html; charset=iso-8859-1", "<p>49 €".encode(), "<p>49 €".encode()),
        (
            "text/html; charset=windows-1251",
            '<meta name=a content="charset tables">Цена'.encode("cp1251"),
            '<meta name=a content="charset tables">Цена'.encode(),
        ),
        ("text/html; charset=koi8-r", b"<meta charset=cp1251>\xd6", b"<meta charset=cp1251>\xd6"),
        ("text/html; charset=shift_jis", b"\x81", b"\x81"),
        ("text/html; charset=punycode", b"\xd6-a", b"\xd6-a"),
        ("text/html", b"\xd6", b"\xd6"),
    ],
)
def test_a_text_is_kept_in_utf_8_where_only_the_header_says_its_character_set(
    kind: str, body: bytes, document: bytes
) -> None:
    assert write_utf8(answer(body, content_type=kind)) == document


def test_links_are_relative_to_the_first_base_and_each_is_there_once() -> None:
    page = read_page(
        answer(
            '<base href="/other/"><base href="/no/"><a href="b">B</a><a href="/c#x">C</a><a href="b#y">again</a>'
            '<a rel="external NoFollow" href="d">D</a><a>nowhere</a><a href="mailto:a@b.c">mail</a>'
            '<link rel="stylesheet" href="/s.css"><link rel="Canonical" href="e"><link rel="canonical" href="f">'
        )
    )
    assert page.links == ["https://x.example/other/b", "https://x.example/c"]
    assert page.canonical == "https://x.example/other/e"
    assert (page.keep, page.follow) == (True, True)
    assert read_page(answer('<a href="b">B</a>')).links == ["https://x.example/docs/b"]
    assert read_page(answer("<p>")).canonical is None


@pytest.mark.parametrize(
    ("head", "header", "keep", "follow"),
    [
        ("", "", True, True),
        ('<meta name="robots" content="none">', "", False, False),
        ('<meta name="robots" content="noindex, follow">', "", False, True),
        ('<meta name="Braid" content="NoFollow">', "", True, False),
        ('<meta name="robots" content="index"><meta name="braid" content="noindex">', "", False, True),
        ('<meta name="googlebot" content="none">', "", True, True),
        ("", "NOINDEX, nofollow", False, False),
        ("", "none", False, False),
        ('<meta name="robots" content="nofollow">', "noindex", False, False),
    ],
)
def test_a_page_says_in_its_head_or_header_whether_it_is_kept_and_followed(
    head: str, header: str, keep: bool, follow: bool
) -> None:
    page = read_page(answer(head, x_robots_tag=header))
    assert (page.keep, page.follow) == (keep, follow)


@pytest.mark.parametrize(
    ("body", "pages", "more"),
    [
        ("<urlset><url><loc> /a </loc><lastmod>2026</lastmod></url></urlset>", ["/a"], []),
        ("<s:urlset xmlns:s='x'><s:url><s:loc>b</s:loc></s:url></s:urlset>", ["/docs/b"], []),
        ("<urlset><url><loc>mailto:a@b.c</loc></url></urlset>", [], []),
        ("<sitemapindex><sitemap><loc>/one.xml</loc></sitemap></sitemapindex>", [], ["/one.xml"]),
    ],
)
def test_a_sitemap_names_pages_or_other_sitemaps(body: str, pages: list[str], more: list[str]) -> None:
    site = "https://x.example"
    assert read_sitemap(answer(body)) == SiteList([site + path for path in pages], [site + path for path in more])


@pytest.mark.parametrize("body", ["", "<urlset", "<html/>", "no xml", "<!doctype a><urlset/>"])
def test_what_is_no_sitemap_is_not_read_as_one(body: str) -> None:
    with pytest.raises(SitemapUnreadable):
        read_sitemap(answer(body))


def test_the_links_of_a_list_in_markdown_are_its_pages() -> None:
    text = '# Docs\n[A](b.md) [A again](b.md#x)\n- [C](<c.md> "title"): about\n[broken\n(d.md) [E](ftp://e)'
    assert read_llms_txt(answer(text)).pages == ["https://x.example/docs/b.md", "https://x.example/docs/c.md"]


@pytest.mark.parametrize(
    ("path", "ending", "key"),
    [
        ("/", ".html", "index.html"),
        ("", ".html", "index.html"),
        ("/a/", ".html", "a/index.html"),
        ("/a", ".html", "a.html"),
        ("/a.HTM", ".html", "a.HTM"),
        ("/a.md", ".html", "a.md.html"),
        ("/a.markdown", ".md", "a.markdown"),
        ("/a.rst", ".txt", "a.rst"),
        ("/a.md", ".txt", "a.md"),
        ("/a.pdf", ".pdf", "a.pdf"),
        ("/a?p=1", ".html", "a@p=1.html"),
        ("/?p=a/b", ".html", "index@p=a_b.html"),
        ("/%C3%A4%20b%0A", ".html", "ä b_.html"),
        ("/a", "", "a"),
    ],
)
def test_the_key_of_a_page_is_its_path_with_an_ending_of_its_format(path: str, ending: str, key: str) -> None:
    assert make_key(f"https://x.example{path}", ending) == key


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://x.example:443/a", "https://x.example/a"),
        ("http://x.example:443/a", "http://x.example:443/a"),
        ("https://x.example", "https://x.example/"),
        ("https://[2001:DB8::1]:8443/a?b=c#d", "https://[2001:db8::1]:8443/a?b=c"),
        (" https://x.example/%41 ", "https://x.example/%41"),
        ("https://user@x.example/", None),
        ("https://x.example:99999/", None),
        ("javascript:x", None),
        ("https:///a", None),
    ],
)
def test_an_address_has_one_spelling_or_is_none(url: str, normal: str | None) -> None:
    assert normalize(url) == normal
