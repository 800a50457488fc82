import re

import pytest

from gateway.demo import DemoTenant, make_tenants
from tests.gateway.demo.document_text import PDF_SOURCES, paragraphs, plain, words
from tests.gateway.demo.pdfs.write import render, target

TENANTS = pytest.mark.parametrize("tenant", make_tenants(), ids=lambda tenant: tenant.name)
WORDS_A_PAGE = 350


def pdf_pages(content: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", content))


@TENANTS
def test_there_are_at_least_25_pages(tenant: DemoTenant) -> None:
    pdfs = [document for document in tenant.documents if document.key.endswith(".pdf")]
    words_by_key = {document.key: len(words(plain(tenant, document))) for document in tenant.documents}
    assert sum(words_by_key.values()) >= 9000
    flowing = sum(count for key, count in words_by_key.items() if not key.endswith(".pdf"))
    assert flowing // WORDS_A_PAGE + sum(pdf_pages(pdf.read()) for pdf in pdfs) >= 25


@TENANTS
def test_every_format_is_there(tenant: DemoTenant) -> None:
    endings = [document.key.rsplit(".", 1)[1] for document in tenant.documents]
    assert endings.count("md") >= 5
    assert endings.count("html") >= 2
    assert endings.count("pdf") >= 2
    assert all(pdf_pages(d.read()) >= 2 for d in tenant.documents if d.key.endswith(".pdf"))


@TENANTS
def test_keys_are_plain_names(tenant: DemoTenant) -> None:
    for document in tenant.documents:
        assert re.fullmatch(r"[a-z0-9-]+\.(md|html|pdf)", document.key)


@pytest.mark.parametrize("source", sorted(PDF_SOURCES.glob("*/*.md")), ids=lambda path: path.stem)
def test_a_pdf_says_what_its_source_says(source) -> None:
    assert target(source).read_bytes() == render(source)


@TENANTS
def test_every_pdf_has_a_source(tenant: DemoTenant) -> None:
    keys = {f"{source.stem}.pdf" for source in (PDF_SOURCES / tenant.name).glob("*.md")}
    assert keys == {d.key for d in tenant.documents if d.key.endswith(".pdf")}


@TENANTS
def test_a_section_is_small_enough_for_one_chunk(tenant: DemoTenant) -> None:
    for document in tenant.documents:
        for paragraph in paragraphs(plain(tenant, document)):
            limit = 75 if document.key.endswith(".pdf") else 62
            assert len(paragraph.split()) <= limit, (document.key, paragraph)


@TENANTS
def test_no_paragraph_stands_twice(tenant: DemoTenant) -> None:
    seen: dict[str, str] = {}
    for document in tenant.documents:
        for paragraph in paragraphs(plain(tenant, document)):
            if len(paragraph.split()) > 12:
                assert paragraph not in seen, (document.key, seen.get(paragraph))
                seen[paragraph] = document.key
