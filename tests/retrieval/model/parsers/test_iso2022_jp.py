import pytest

from retrieval.parsers.encodings import decode_declared
from retrieval.parsers.iso2022_jp import decode_iso2022_jp

pytestmark = pytest.mark.model


@pytest.mark.parametrize("text", ["保証期間は24か月です。\n価格は4,900円です。", "ｶﾞ and ﾜ", "﨟 is missing", "plain"])
def test_what_the_standard_has_is_read_as_python_reads_it(text: str) -> None:
    for codec in ("iso2022_jp", "iso2022_jp_1", "iso2022_jp_ext"):
        data = text.encode(codec, "replace")
        assert decode_iso2022_jp(data) == data.decode(codec)


def test_characters_of_windows_that_the_standard_lacks_are_read() -> None:
    data = b"\x1b$B\x2d\x21\x2d\x6a\x7c\x65\x1b(B 49"
    assert decode_iso2022_jp(data).startswith("①㈱")
    decoding = decode_declared(data, "ISO-2022-JP")
    assert decoding is not None
    assert decoding.text.endswith(" 49")


def test_a_text_with_other_languages_sets_is_read() -> None:
    text = "한국어 中 é"
    data = text.encode("iso2022_jp_2")
    assert decode_iso2022_jp(data) == text
