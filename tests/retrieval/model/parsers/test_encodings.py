from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.child import read_document
from retrieval.parsers.encodings import DecodedText, decode_legacy, decode_unicode
from retrieval.parsers.parsed_document import ParsedDocument, ParseLimits

pytestmark = pytest.mark.model

SENTENCES = {
    "Russian": ("Гарантия на чайник К2 девятнадцать месяцев. Сохраняйте чек.", "koi8-r cp1251 cp866 iso8859-5"),
    "Ukrainian": ("Гарантія на чайник К2 дев'ятнадцять місяців. Зберігайте чек.", "cp1251 koi8-u"),
    "Chinese": ("水壶K2的保修期为十九个月，请保留收据。每年除垢两次，使用白醋和清水。", "gbk gb2312 gb18030"),
    "Taiwanese": ("水壺K2的保固期為十九個月，請保留收據。每年除垢兩次，使用白醋和清水。", "big5"),
    "Japanese": ("ケトルK2の保証期間は十九か月です。領収書を保管してください。", "shift_jis euc_jp iso2022_jp"),
    "Korean": ("주전자 K2의 보증 기간은 십구 개월입니다. 영수증을 보관해 주세요.", "euc_kr"),
    "German": ("Die Gewährleistung für den Kessel läuft über 19 Monate. Größe: 5 €.", "cp1252"),
    "French": ("Le contrat court dix-neuf mois. Conservez le reçu, détartrez à l'eau.", "cp1252 latin-1"),
    "English": ("The kettle\u2019s warranty is nineteen months \u2014 keep the receipt.", "cp1252"),
    "Polish": ("Gwarancja na czajnik wynosi dziewiętnaście miesięcy. Proszę zachować paragon.", "cp1250 iso8859-2"),
    "Czech": ("Záruka na konvici je devatenáct měsíců. Uschovejte účtenku, příliš žluťoučký.", "cp1250 iso8859-2"),
    "Greek": ("Η εγγύηση του βραστήρα είναι δεκαεννέα μήνες. Φυλάξτε την απόδειξη.", "cp1253"),
    "Turkish": ("Su ısıtıcısının garantisi on dokuz aydır. Fişi saklayınız, kireç çözünüz, şöyle.", "cp1254"),
    "Hebrew": ("האחריות על הקומקום היא תשעה עשר חודשים. שמרו את הקבלה.", "cp1255"),
    "Arabic": ("ضمان الغلاية تسعة عشر شهرا. احتفظ بالإيصال.", "cp1256"),
    "Thai": ("กาต้มน้ำมีการรับประกันสิบเก้าเดือน โปรดเก็บใบเสร็จไว้", "tis-620"),
}
PAIRS = [(sentence, encoding) for sentence, encodings in SENTENCES.values() for encoding in encodings.split()]


def decode(data: bytes) -> DecodedText:
    return decode_unicode(data) or decode_legacy(data)


def read(data: bytes, name: str = "a.txt") -> ParsedDocument:
    return read_document(data, name, ParseLimits())


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        ("Öl für 5 €".encode(), "Öl für 5 €", ""),
        ("Öl für 5 €".encode("utf-8-sig"), "Öl für 5 €", ""),
        ("Öl 5 €".encode("utf-16"), "Öl 5 €", ""),
        ("Öl 5 €".encode("utf-32"), "Öl 5 €", ""),
        (b"\xfe\xff" + "Öl".encode("utf-16-be"), "Öl", ""),
        ("Oil for 5 pounds".encode("utf-16-le"), "Oil for 5 pounds", "utf-16-le"),
        ("Oil for 5 pounds".encode("utf-16-be"), "Oil for 5 pounds", "utf-16-be"),
        ("Öl für 5 €".encode("cp1252"), "Öl für 5 €", "windows-1252"),
        ("Price: 49 €, £12.".encode("cp1252"), "Price: 49 €, £12.", "windows-1252"),
        (b"caf\xe9 and no more", "café and no more", "windows-1252"),
        ("Öl \ufffd für".encode(), "Öl \ufffd für", ""),
    ],
)
def test_an_encoding_is_recognised(data: bytes, text: str, encoding: str) -> None:
    assert decode(data) == DecodedText(text, encoding)


@pytest.mark.parametrize(
    "data", [b"\x00\x01\x02abc", b"\xff\xfe\x00", b"abc\x07\x08", bytes(range(256)), b"a\0b\0\x01\0c\0"]
)
def test_binary_data_is_not_text(data: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match="binary data") as caught:
        read(data)
    assert caught.value.code == "unsupported_file"


@pytest.mark.parametrize(("sentence", "encoding"), PAIRS, ids=lambda value: value if value.isascii() else "")
def test_text_in_an_older_encoding_is_read(sentence: str, encoding: str) -> None:
    for lines in (1, 60):
        data = (f"{sentence}\n" * lines).encode(encoding)
        parsed = read(data)
        assert parsed.text == f"{sentence}\n" * lines
        assert "charset=" in parsed.media_type


MORE = (
    "La garantía de la tetera dura diecinueve meses. ¿Cuánto cuesta? El año próximo, más.",
    "A garantia da chaleira é de dezenove meses. Não há devolução após três semanas; é só até amanhã.",
    "La garanzia del bollitore è di diciannove mesi. Perciò la qualità è più alta, e così sarà.",
    "La garantia del bullidor és de dinou mesos. Conserveu el rebut i netegeu-lo després de cada ús.",
    "Garantien på kedlen gælder i nitten måneder. Gem kvitteringen, og køb en ny først når låget går løs.",
    "Garantien på kjelen gjelder i nitten måneder. Ta vare på kvitteringen, så får du en ny når lokket løsner.",
    "Garantin på vattenkokaren gäller i nitton månader. Spara kvittot, så får du en ny när locket går sönder.",
    "Vedenkeittimen takuu on yhdeksäntoista kuukautta. Säilytä kuitti ja käytä vain tätä pöytää, älä hyllyä.",
    "Ábyrgð á katlinum er nítján mánuðir. Geymið kvittunina og hreinsið ketilinn þegar þörf er á.",
    "A vízforraló garanciája tizenkilenc hónap. Kérjük, őrizze meg a nyugtát, és fűtés előtt ürítse ki.",
    "Záruka na kanvicu je devätnásť mesiacov. Účtenku si uschovajte a vodný kameň odstraňujte každý mesiac.",
    "Garancija za grelnik vode je devetnajst mesecev. Shranite račun in čistite vodni kamen še dvakrat, če želite.",
    "Jamstvo za kuhalo vode traje devetnaest mjeseci. Sačuvajte račun i češće čistite kućište, ako želite uštedjeti.",
    "Garanţia fierbătorului este de nouăsprezece luni. Păstraţi chitanţa şi curăţaţi vasul în fiecare lună.",
    "Veekeetja garantii kehtib üheksateist kuud. Hoidke kviitung alles ja ärge jätke õues köögitöö ajal seadet sisse.",
    "Tējkannas garantija ir deviņpadsmit mēneši. Lūdzu, saglabājiet čeku un tīriet ierīci katru mēnesi ar etiķi.",
    "Virdulio garantija galioja devyniolika mėnesių. Išsaugokite čekį ir kas mėnesį išvalykite įrenginį nuo kalkių.",
    "Garancia e ibrikut është nëntëmbëdhjetë muaj. Ruajeni faturën dhe pastrojeni çdo muaj me uthull të bardhë.",
    "Tá ráthaíocht naoi mí dhéag ar an gciteal. Coinnigh an admháil agus glan an citeal gach mí le fínéagar bán.",
    "Гаранцията на чайника е деветнадесет месеца. Запазете касовата бележка и почиствайте уреда всеки месец.",
    "Гаранција за кувало је деветнаест месеци. Сачувајте рачун и чистите уређај сваког месеца, ако желите.",
    "Гарантыя на чайнік дзевятнаццаць месяцаў. Захоўвайце чэк і ачышчайце прыладу кожны месяц воцатам.",
)
LATIN = (
    *("cp1252", "iso8859_15", "cp1250", "iso8859_2", "iso8859_16", "cp1254", "iso8859_9", "cp1257", "iso8859_13"),
    *("iso8859_4", "iso8859_10", "cp850", "cp437", "cp852", "cp775", "cp857", "mac_roman", "mac_latin2", "mac_turkish"),
    *("mac_croatian", "mac_romanian", "mac_iceland", "cp861", "cp865"),
)
OTHERS = (
    *("cp1251", "koi8_r", "koi8_u", "cp866", "cp855", "iso8859_5", "mac_cyrillic", "cp1125", "cp1253", "iso8859_7"),
    *("cp737", "mac_greek", "cp1255", "iso8859_8", "cp862", "cp1256", "iso8859_6", "cp874"),
)


def has_letters(text: str, encoding: str) -> bool:
    with suppress(UnicodeEncodeError):
        return not text.encode(encoding).isascii()
    return False


TEXTS = [text for text in (*(sentence for sentence, _ in SENTENCES.values()), *MORE)]
ALL_PAIRS = [
    (text, encoding)
    for text in TEXTS
    for encoding in (LATIN if sum(map(str.isascii, text)) * 2 > len(text) else OTHERS)
    if has_letters(text, encoding)
]


def is_read_or_refused(text: str, encoding: str) -> bool:
    try:
        return decode(text.encode(encoding)).text == text
    except DocumentUnreadable as error:
        return "Save it as UTF-8" in str(error)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:9].encode("ascii", "replace").decode())
def test_a_sentence_in_whatever_encoding_has_its_letters_is_read_nearly_always_and_never_garbled(text: str) -> None:
    encodings = [encoding for one, encoding in ALL_PAIRS if one == text]
    assert [encoding for encoding in encodings if not is_read_or_refused(text, encoding)] == []
    read_in = [encoding for encoding in encodings if is_read(text, encoding)]
    assert len(read_in) >= len(encodings) * 0.7


def is_read(text: str, encoding: str) -> bool:
    with suppress(DocumentUnreadable):
        return decode(text.encode(encoding)).text == text
    return False


@given(st.sampled_from(ALL_PAIRS), st.data())
@settings(max_examples=100, deadline=None)
@pytest.mark.case("doc-legacy-encodings")
def test_words_in_an_older_encoding_are_read_or_refused_and_never_garbled(
    pair: tuple[str, str], data: st.DataObject
) -> None:
    sentence, encoding = pair
    lines = [" ".join(data.draw(st.permutations(sentence.split()))) for _ in range(data.draw(st.integers(1, 4)))]
    assert is_read_or_refused("\n".join(lines), encoding)


# Where each encoding is at home, the language of a text of some lines is known.
HOME = [
    *((MORE[9], ("cp1250", "iso8859_2", "cp852")), (MORE[12], ("cp1250", "iso8859_2", "cp852", "mac_croatian"))),
    *((MORE[13], ("cp1250", "iso8859_2", "cp852")), (MORE[15], ("cp1257", "iso8859_13", "cp775"))),
    *((MORE[16], ("cp1257", "iso8859_13", "cp775")), (MORE[14], ("cp1257", "cp1252", "iso8859_13"))),
    *((SENTENCES["Czech"][0], ("cp1250", "iso8859_2", "cp852", "mac_latin2")), (MORE[8], ("cp1252", "cp861"))),
    *((SENTENCES["Turkish"][0], ("cp1254", "cp857", "mac_turkish")), (MORE[20], ("cp1251", "cp855", "iso8859_5"))),
    *((SENTENCES["Greek"][0], ("cp737", "iso8859_7")), (SENTENCES["Arabic"][0], ("iso8859_6", "cp1256"))),
]


@pytest.mark.parametrize(("text", "encodings"), HOME, ids=lambda value: value if isinstance(value, tuple) else "")
def test_a_sentence_is_read_in_the_encodings_of_its_country(text: str, encodings: tuple[str, ...]) -> None:
    assert [encoding for encoding in encodings if not is_read(text, encoding)] == []


@pytest.mark.parametrize(
    "text",
    [
        "The kettle’s “auto-off” costs 5 € more – see below.",
        "• First, the naïve way.\n• Then the café’s: ½ l at 95 °C, for £3, ©2020 Röhm.",
        "Größe;Preis\nK2;49,00 €\nK7;59,00 €",
        "GRÖSSE UND ÜBERSICHT ALLER GERÄTE",
    ],
)
def test_what_offices_write_in_windows_1252_is_read(text: str) -> None:
    assert decode(text.encode("cp1252")).text == text


def test_two_letters_that_are_one_of_utf_8_by_chance_are_two() -> None:
    text = "le droit de choisir le genre d’éducation à donner à leurs enfants"
    assert is_read_or_refused("le droit de choisir le genre d’éducation", "mac_roman")
    assert decode(text.encode("mac_roman")).text == text
    assert decode("5 kΩ, Δt and שלוםx".encode()).text == "5 kΩ, Δt and שלוםx"


@given(st.sampled_from([sentence for sentence, _ in SENTENCES.values()]), st.data())
@settings(max_examples=60, deadline=None)
def test_a_bad_byte_breaks_one_character_of_a_text_in_utf_8(sentence: str, data: st.DataObject) -> None:
    text = f"{sentence}\n" * 8
    raw = bytearray(text.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.sampled_from([0x80, 0xA0, 0xC3, 0xE4, 0xFF]))
    lines = decode(bytes(raw)).text.split("\n")
    assert lines.count(sentence) >= 6
    assert all(len(set(sentence) & set(line)) > 3 for line in lines if line)


def test_a_bad_byte_is_told() -> None:
    parsed = read("Größe für Öl\n".encode() * 30 + b"\xff\n")
    assert parsed.text.count("Größe für Öl") == 30
    assert parsed.warnings == ["1 characters aren't valid utf-8 and stand as U+FFFD. Check the file where it was made."]


def test_a_file_that_ends_in_the_middle_of_a_character_is_read() -> None:
    assert read("Größe für Öl ".encode() * 30 + "ü".encode()[:1]).text.startswith("Größe für Öl")


@pytest.mark.parametrize("words", ["保修期", "Гар"])
def test_too_short_a_text_is_refused_with_what_to_do(words: str) -> None:
    with pytest.raises(DocumentUnreadable, match=r"can't be recognised for sure\. Save it as UTF-8") as caught:
        read(words.encode("gbk"))
    assert caught.value.code == "invalid_file"


@pytest.mark.parametrize("before", [0, 2_100, 300_000])
@pytest.mark.parametrize(
    "page",
    [
        "<html><head><style>{filler}</style><meta charset='{charset}'><title>x</title></head><body><p>{text}",
        "<!doctype html><script>{filler}</script>"
        "<meta http-equiv='Content-Type' content='text/html; charset={charset}'><p>{text}",
    ],
)
@pytest.mark.parametrize(("text", "charset"), [("Гарантия К2", "windows-1251"), ("価格は九", "shift_jis")])
def test_a_page_is_read_as_it_declares_however_late(before: int, page: str, text: str, charset: str) -> None:
    data = page.format(filler="x" * before, charset=charset, text=text).encode(charset)
    parsed = read(data, "a")
    assert (parsed.text, parsed.media_type) == (text, f"text/html; charset={charset}")


def test_xml_is_read_as_it_declares() -> None:
    data = '<?xml version="1.0" encoding="koi8-r"?><a>Гарантия</a>'.encode("koi8-r")
    assert "Гарантия" in read(data, "a.xml").text


def test_a_text_about_declarations_declares_nothing() -> None:
    data = "Write <meta charset='koi8-r'> für Russisch, und schön früh.".encode("cp1252")
    assert "für Russisch" in read(data, "a.md").text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((text, "big5") for text in ("電熱水", "電熱水壺保固期", "The kettle 電熱水壺 is new", "型號 K2 電熱水壺")),
        ("ケトルの価格", "cp932"),
        *(
            (text, "cp850")
            for text in ("Größe für Öl", "Le reçu, détartrez à l'eau", "señor mañana", "blåbærgrød", "schön und größer")
        ),
        *(
            (text, "mac_roman")
            for text in ("Größe für Öl", "Le reçu, détartrez à l’eau", "¡Ñandú! señor mañana", "blåbærgrød")
        ),
        *(
            (text, "cp1252")
            for text in ("Öl", "ñoño", "§a §b", "200 °C or 390 °F", "It’s “so” – 5 €", "©ACME ™ACME", "Ø 12 mm", "5 Å")
        ),
        *((text, "cp1252") for text in ("¿Qué? ¡Sí!", "Œuvre cœur", "ÄÖÜ ÉTÉ", "µm µF 20 °C ±5", "Das heißt „so“")),
    ],
)
def test_few_words_are_read_where_their_bytes_show_the_encoding(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize(
    "data",
    # Windows-1252 has no 0x81, and no other encoding makes words of both; ISO-8859-1 has an invisible character there.
    [b"caf\xe9 \x81", "schön".encode("cp850"), "père".encode("cp850")],
)
def test_what_no_encoding_makes_sense_of_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match="can't be recognised for sure"):
        decode(data)


def test_utf_8_stays_utf_8_however_many_bytes_are_broken() -> None:
    decoded = decode(("äöü".encode() + b" \xe9") * 3)
    assert decoded.text == "äöü \ufffd" * 3
    assert decoded.warning.startswith("3 characters aren't valid utf-8")


# What can't be told: cp1250 and ISO-8859-2 as above; DOS and Mac where every strange byte is a letter or a mark of
# Windows-1252 too (`schšn`, `…` for `à`); and a few characters alone that are valid UTF-8 or a western word by chance.
SURE = [(sentence, encoding) for sentence, encoding in PAIRS if not {encoding} & {"cp1250", "iso8859-2"}]
SHORT = [*SURE, (SENTENCES["German"][0].replace("€", "EUR"), "cp850"), (SENTENCES["German"][0], "mac_roman")]
# Their one letter beyond ASCII is one of Baltic and Icelandic words in another encoding, and so few words tell nothing.
UNTOLD = {("on dokuz aydır.", "cp1254"), ("garantisi on dokuz aydır.", "cp1254")}
PIECES = [
    (piece, encoding)
    for sentence, encoding in SHORT
    for words in [sentence.split()]
    for count in range(2, len(words) + 1)
    for start in range(len(words) - count + 1)
    if ((piece := " ".join(words[start : start + count])), encoding) not in UNTOLD
]


@given(st.sampled_from(PIECES), st.integers(1, 40))
@example(("на чайник К2", "cp1251"), 1)
@settings(max_examples=300, deadline=None)
def test_a_part_of_a_text_is_read_or_refused_and_never_garbled(piece: tuple[str, str], times: int) -> None:
    text, encoding = piece
    with suppress(DocumentUnreadable):
        assert decode("\n".join([text] * times).encode(encoding)).text == "\n".join([text] * times)


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "cp866", "iso8859-5"])
def test_a_text_in_capitals_is_told_by_its_letters(encoding: str) -> None:
    """Cyrillic in capitals, Hebrew and Cyrillic in small letters are the same bytes in three encodings."""
    text = "ГАРАНТИЯ НА ЧАЙНИК ДЕВЯТНАДЦАТЬ МЕСЯЦЕВ"
    assert is_read(text, encoding)


@pytest.mark.parametrize(
    "text",
    [
        '(format t "~{<~A>~}" names)\n',
        '(format t "~{~a, ~}~%" names)\n',
        "Dear ~{NAME~}, it's ~{DATE~}\n",
        "ü — ~{NAME~}\n",
    ],
)
def test_braces_with_tildes_are_no_chinese(text: str) -> None:
    assert decode(text.encode()) == DecodedText(text)
