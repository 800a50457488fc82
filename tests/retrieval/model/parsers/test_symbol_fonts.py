"""Signs of fonts such as Symbol are read as they look, in every format that names fonts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.parsers.child import read_document
from retrieval.parsers.parsed_document import ParseLimits
from retrieval.parsers.symbol_fonts import is_symbol_font, read_symbols
from tests.retrieval.model.parsers.office_files import make_docx, make_odt, make_pptx, repack

pytestmark = pytest.mark.model

SIGNS = [("Symbol", 0xB0, "°"), ("Symbol", 0xA3, "≤"), ("Symbol", 0x6D, "μ"), ("Symbol", 0xB1, "±")]
SIGNS += [("Wingdings", 0xFC, "✓"), ("Wingdings", 0xE0, "→"), ("Wingdings 2", 0x52, "☑"), ("Webdings", 0x61, "✓")]


def read(data: bytes) -> str:
    return read_document(data, "upload", ParseLimits()).text


@pytest.mark.parametrize(("font", "code", "sign"), SIGNS)
def test_a_sign_is_read_as_it_looks_whatever_the_format(font: str, code: int, sign: str) -> None:
    for character in (chr(code), chr(0xF000 + code)):
        run = f"<w:r><w:rPr><w:rFonts w:ascii='{font}' w:hAnsi='{font}'/></w:rPr><w:t>{character}</w:t></w:r>"
        assert read(make_docx(f"<w:p><w:r><w:t>25</w:t></w:r>{run}<w:r><w:t>C</w:t></w:r></w:p>")) == f"25{sign}C"
        style = f"<style:style style:name='S' style:family='text'><style:text-properties style:font-name='{font}'/>"
        span = f"<text:p>25<text:span text:style-name='S'>{character}</text:span>C</text:p>"
        assert read(make_odt(span, styles=f"{style}</style:style>")) == f"25{sign}C"
        slide = make_pptx([["x"]])
        run = f"<a:r><a:rPr><a:sym typeface='{font}'/></a:rPr><a:t>{character}</a:t></a:r><a:r><a:t>C</a:t></a:r>"
        space = "http://schemas.openxmlformats.org/drawingml/2006/main"
        shape = f"<p:sp><p:txBody><a:p><a:r><a:t>25</a:t></a:r>{run}</a:p></p:txBody></p:sp>"
        page = f"<p:sld xmlns:p='p' xmlns:a='{space}'><p:cSld><p:spTree>{shape}</p:spTree></p:cSld></p:sld>"
        assert read(repack(slide, ppt_slides_0_xml=page)).endswith(f"25{sign}C")
    sym = f"<w:r><w:sym w:font='{font}' w:char='F0{code:02X}'/></w:r>"
    assert read(make_docx(f"<w:p><w:r><w:t>25</w:t></w:r>{sym}</w:p>")) == f"25{sign}"
    fonts = rf"{{\fonttbl{{\f0 Arial;}}{{\f3\fcharset2 {font};}}}}"
    field = rf'{{\field{{\*\fldinst SYMBOL {code} \\f "{font}" \\s 12}}{{\fldrslt\f3\fs24}}}}'
    for written in (rf"{{\f3 \'{code:02x}}}", rf"{{\f3\u{0xF000 + code - 65536} ?}}", field):
        assert read(rf"{{\rtf1\ansi{fonts}\f0 25{written}C\par}}".encode()) == f"25{sign}C"


@pytest.mark.parametrize("code", ["", "zz", "F0B", "F0B0B0"])
def test_a_sign_without_a_code_is_none(code: str) -> None:
    text = read(make_docx(f"<w:p><w:r><w:t>25</w:t><w:sym w:font='Symbol' w:char='{code}'/></w:r></w:p>"))
    assert text.startswith("25")


@settings(max_examples=50)
@given(st.text(max_size=20), st.sampled_from(["Arial", "", "Symbols of mine"]))
def test_text_in_other_fonts_stays_but_for_bullets(text: str, font: str) -> None:
    assert read_symbols(text, font) == text.replace("\uf0b7", "•")
    assert not is_symbol_font(font)


@settings(max_examples=50)
@given(st.text(st.characters(max_codepoint=0xFF, min_codepoint=0x20), max_size=20))
def test_signs_are_the_same_in_the_private_area(text: str) -> None:
    private = "".join(chr(0xF000 + ord(character)) for character in text)
    for font in ("Symbol", " wingdings;", "'Wingdings 3'"):
        assert is_symbol_font(font)
        assert read_symbols(text, font) == read_symbols(private, font)
