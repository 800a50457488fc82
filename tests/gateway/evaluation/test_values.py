import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evaluation.values import TextValues, find_values


@pytest.mark.parametrize(
    ("spellings", "reading"),
    [
        (("£7.40", "GBP 7.4", "7.40 pounds", "£ 7.4"), "money:GBP 7.4"),
        (("1,000 euros", "1.000 €", "€1000", "EUR 1000.00", "1.000,00 €"), "money:EUR 1000"),
        (("£1.5m", "1.5 million pounds", "£1,500,000"), "money:GBP 1500000"),
        (("50p", "£0.50"), "money:GBP 0.5"),
        (("2 Feb 2026", "2026-02-02", "February 2nd, 2026", "2. Februar 2026", "02.02.2026"), "date:2026-02-02"),
        (("6:15 pm", "18:15", "6.15pm", "18.15 Uhr"), "time:18:15"),
        (("9am", "9 o'clock", "9 Uhr", "09:00"), "time:09:00"),
        (("24 months", "24-month", "twenty-four months", "2 years", "two-year"), "quantity:24 month"),
        (("3-5 business days", "3 to 5 days", "3\u20135 working days"), "quantity:3-5 day"),
        (("50%", "50 percent", "50 per cent"), "quantity:50 percent"),
        (("v2.4.1", "version 2.4.1", "2.4.1"), "version:2.4.1"),
        (("#48213",), "code:48213"),
        (("ERR-1042", "SAVE20"), None),
        (("https://www.x.example/a/", "http://x.example/a"), "url:x.example/a"),
        (("a@b.example", "A@B.example"), "e-mail:a@b.example"),
        (("+44 20 7946 0018", "+44 (20) 7946-0018"), "phone:+442079460018"),
        (("+44 (0)20 7946 0018", "+44 (0) 20 7946 0018"), "phone:+442079460018"),
        (("(415) 555-0100", "415-555-0100"), "phone:4155550100"),
        (("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"), "code:de89370400440532013000"),
        (("1,000", "1000", "1'000"), "number:1000"),
        (("1980円", "1,980 yen", "￥1980", "１，９８０円", "JPY 1980"), "money:JPY 1980"),
        (("3万元", "30,000元", "CNY 30000", "3万块钱", "30000人民币"), "money:CNY 30000"),
        (("50,000원", "₩50,000", "5만원"), "money:KRW 50000"),
        (("200元", "NT$200", "200台幣"), "money:TWD 200"),
        (("10 000 kr", "NOK 10.000", "kr 10000"), "money:NOK 10000"),
        (("1,00,000 rupees", "₹100000", "Rs. 1,00,000"), "money:INR 100000"),
        (("fifty pounds", "£50"), "money:GBP 50"),
        (("30天", "30日間", "30 일", "30 วัน", "三十天", "30 days", "๓๐ วัน", "３０日"), "quantity:30 day"),
        (("24小时", "24時間", "24시간", "24 ชั่วโมง", "24 h"), "quantity:24 hour"),
        (("6个月", "6ヶ月", "6개월", "六个月", "six months"), "quantity:6 month"),
        (("3～5日", "3至5天", "3-5 days"), "quantity:3-5 day"),
        (("2026年2月3日", "2026년 2월 3일", "2026/2/3", "2026. 2. 3.", "3 Feb 2026"), "date:2026-02-03"),
        (("2月3日", "2월 3일", "3 February"), "date:--02-03"),
        (("下午6点半", "午後6時半", "오후 6시 30분", "18:30", "下午6:30"), "time:18:30"),
        (("a hundred and twenty days", "one hundred twenty days", "120 days"), "quantity:120 day"),
        (("5G",), "code:5g"),
        (
            ("3 Mio. Euro", "3 Millionen Euro", "EUR 3 Mio.", "3 millones de euros", "3 millions d'euros", "3 mln €"),
            "money:EUR 3000000",
        ),
        (("3.000.000 €", "3 milioni di euro", "3 milhões de euros", "€3m", "3 miljoen euro"), "money:EUR 3000000"),
        (
            ("2 Mrd. €", "2 Milliarden Euro", "2 milliards d’euros", "2 mld euro", "2 mil millones de euros"),
            "money:EUR 2000000000",
        ),
        (("1,5 mln zł", "1 500 000 zł", "PLN 1,5 mln"), "money:PLN 1500000"),
        (("3 million", "3 Mio.", "3 Millionen", "3 millones", "3,000,000"), "number:3000000"),
        (("5 mil euros", "5 Tsd. Euro", "5 Tausend Euro", "5.000 €"), "money:EUR 5000"),
        (("19h30", "19 h 30", "19.30 Uhr", "19H30", "7:30 pm"), "time:19:30"),
        (("12-03-2026", "12/03/2026", "12.03.2026"), "date:2026-03-12"),
        (("31.3.26", "31.03.2026", "31-Mar-2026", "31 de março de 2026", "31. März 2026"), "date:2026-03-31"),
        (("1er janvier 2026", "1º de enero de 2026", "1st of January 2026"), "date:2026-01-01"),
        (("março de 2026", "marzo de 2026", "March 2026"), "date:2026-03"),
        (("49,- €", "€ 49", "49,-€", "49,– EUR"), "money:EUR 49"),
        (("2.1.0-beta.2", "v2.1.0-beta.2", "version 2.1.0-beta.2"), "version:2.1.0-beta.2"),
        (("firmware 4.0.1b", "v4.0.1b"), None),
        (("5 bis 7 Werktage", "5-7 Arbeitstage", "5-7 dagen", "5-7 giorni"), "quantity:5-7 day"),
        (("9h", "9 Uhr", "9h00"), "time:09:00"),
        (("20 por ciento", "20 pct", "20%"), "quantity:20 percent"),
        (("12-03-2026", "12/03/2026", "03-12-2026"), "date:2026-12-03"),
    ],
)
def test_values_have_one_spelling(spellings: tuple[str, ...], reading: str | None) -> None:
    for spelled in spellings:
        (value,) = find_values(f"It is {spelled}, we say.")
        assert value.text == spelled.removeprefix("version ").removeprefix("firmware ")
        assert reading is None or reading in value.readings


LETTERS = st.text(st.sampled_from("退款需要工作内です以保証ありがとう안에입니다환불は가ภายในคืน"), max_size=5)
IN_ANY_SCRIPT = (
    "30天",
    "1,980円",
    "£7.40",
    "2026年2月3日",
    "18:15",
    "v2.4.1",
    "ERR-1042",
    "48213",
    "a@b.example",
    "12 kg",
)


MILLIONS = (
    "Mio. Euro",
    "Millionen Euro",
    "millones de euros",
    "millions d'euros",
    "mln €",
    "milioni di euro",
    "m euros",
)


@given(st.integers(1, 999), st.sampled_from(MILLIONS), st.sampled_from(MILLIONS))
def test_a_scale_word_is_part_of_its_amount_in_each_language(number: int, words: str, others: str) -> None:
    (value,) = find_values(f"So {number} {words}" if words[0] != "m" or words[1] != " " else f"So {number}{words}")
    assert TextValues.of(f"{number}{'' if others == 'm euros' else ' '}{others}").states(value)
    assert TextValues.of(f"{number}000000 EUR").states(value)
    assert not TextValues.of(f"{number} euros, {number}").states(value)


@given(LETTERS, st.sampled_from(IN_ANY_SCRIPT), LETTERS)
def test_a_value_is_found_among_letters_that_no_space_parts_from_it(before: str, spelled: str, behind: str) -> None:
    (alone,) = find_values(spelled)
    (value,) = find_values(f"{before}{spelled}{behind}")
    assert (value.kind, value.text, value.readings) == (alone.kind, spelled, alone.readings)


@pytest.mark.parametrize(
    "text", ["1、打开\n2.关闭", "第3步", "步骤3", "3月", "十分感谢", "3번째", "以下のステップ2へ", "万一"]
)
def test_places_and_words_of_other_scripts_are_no_values(text: str) -> None:
    assert find_values(text) == []


def spell(number: int, joiner: str, conjunction: str) -> str:
    ones = (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
    )
    ones += "seventeen eighteen nineteen".split()
    tens = "twenty thirty forty fifty sixty seventy eighty ninety".split()
    if number < 20:
        return ones[number]
    if number < 100:
        return tens[number // 10 - 2] + (f"{joiner}{ones[number % 10]}" if number % 10 else "")
    rest = f"{conjunction}{spell(number % 100, joiner, conjunction)}" if number % 100 else ""
    return f"{ones[number // 100]} hundred{rest}"


@pytest.mark.parametrize("joiner", ["-", " "])
@pytest.mark.parametrize("conjunction", [" ", " and ", "-and-"])
def test_each_number_below_a_thousand_is_read_from_its_words(joiner: str, conjunction: str) -> None:
    for number in range(1000):
        spelled = f"{spell(number, joiner, conjunction)} months"
        (value,) = find_values(f"So {spelled}.")
        assert (value.text, value.readings) == (spelled, (f"quantity:{number} month",))


@given(st.integers(1, 999), st.integers(0, 999), st.integers(0, 999))
def test_larger_numbers_are_read_from_their_words(millions: int, thousands: int, rest: int) -> None:
    parts = [(millions, " million"), (thousands, " thousand"), (rest, "")]
    spelled = " ".join(f"{spell(number, '-', ' and ')}{scale}" for number, scale in parts if number)
    (value,) = find_values(f"{spelled} users")
    assert value.readings == (f"quantity:{millions * 1_000_000 + thousands * 1000 + rest} seat",)


SIGNS = (",", ".", " ", "'", "’", "\u00a0", "\u202f")
POINT, COMMA = "It weighs 2.5 kg. ", "Es wiegt 2,5 kg. "


@given(st.integers(1000, 10**9), st.sampled_from(SIGNS), st.sampled_from(["", " km", "人"]))
def test_signs_between_thousands_mean_the_same_in_each_locale(number: int, sign: str, unit: str) -> None:
    spelled = f"{number:,}".replace(",", sign)
    for context in (COMMA if sign == "." else POINT, ""):
        *_, value = find_values(f"{context}So {spelled}{unit}")
        assert value.text == f"{spelled}{unit}"
        assert TextValues.of(f"{number}{unit}").states(value)
        assert TextValues.of(f"{context}So {spelled}{unit}").states(find_values(f"{number}{unit}")[0])
        assert len(value.readings) == (1 if context or number >= 10**6 or sign not in ",." else 2)


def test_what_a_sign_parts_is_told_by_the_rest_of_the_text_or_is_both() -> None:
    def read(text: str) -> tuple[str, ...]:
        return find_values(text)[-1].readings

    for context in (COMMA, "1.000.000 Kunden: ", "1.234,56 und ", "7,40 € für "):
        assert read(f"{context}1.500 km") == ("quantity:1500 kilometre",)
        assert read(f"{context}1,500 km") == ("quantity:1.5 kilometre",)
    for context in (POINT, "1,000,000 users: ", "1,234.56 and ", "£7.40 for "):
        assert read(f"{context}1.500 km") == ("quantity:1.5 kilometre",)
        assert read(f"{context}1,500 km") == ("quantity:1500 kilometre",)
    for context in ("", POINT + COMMA, "um 18.15 h ", "v2.4 "):
        assert set(read(f"{context}1.500 km")) == {"quantity:1500 kilometre", "quantity:1.5 kilometre"}
    assert read("0.500 km") == ("quantity:0.5 kilometre",)


def test_a_date_that_can_be_read_in_two_ways_has_both_readings() -> None:
    (value,) = find_values("on 02/03/2026")
    assert value.readings == ("date:2026-03-02", "date:2026-02-03")


@pytest.mark.parametrize(
    ("evidence", "reply", "stated"),
    [
        ("It is 2 Feb 2026.", "2 February", True),
        ("It is 2 February.", "2 Feb 2026", False),
        ("It is 2 Feb 2025.", "2 Feb 2026", False),
        ("| warranty (months) | 24 |", "24 months", True),
        ("| price (GBP) | 49 |", "£49", True),
        ("| price (GBP) | 49 |", "€49", False),
        ("24 weeks", "24 months", False),
        ("It has 24 months.", "24", True),
        ("310 and 3.1", "31", False),
        ("退款需要30天", "25天", False),
        ("退款需要30天", "30 days", True),
        ("| 价格（元） | 49 |", "49元", True),
        ("1500 km", "1.500 km", True),
        ("1,5 km", "1.500 km", True),
        ("25 days", "twenty-five days", True),
        ("20-5 days", "twenty-five days", False),
    ],
)
def test_evidence_states_what_it_implies(evidence: str, reply: str, stated: bool) -> None:
    (value,) = find_values(f"It is {reply}")
    assert TextValues.of(evidence).states(value) is stated


@given(st.text(max_size=200) | st.text("0123456789.,:/-£€% apmvJan天日円年月時点万～三", max_size=60))
def test_values_are_apart_stand_in_their_text_and_are_stated_by_it(text: str) -> None:
    values = find_values(text)
    ends = [0, *(value.end for value in values)]
    assert all(end <= value.start for end, value in zip(ends, values, strict=False))
    assert all(text[value.start : value.end] == value.text and value.readings for value in values)
    evidence = TextValues.of(text)
    assert all(evidence.states(value) for value in values)


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        ("£1.5 million", "money:GBP 1500000"),
        ("1.5k euros", "money:EUR 1500"),
        ("20 cents", "money:EUR 0.2"),
        ("2 feb 2026", "date:2026-02-02"),
        ("february 2nd, 2026", "date:2026-02-02"),
        ("6:15 pm", "time:18:15"),
        ("9 o'clock", "time:09:00"),
        ("24 months", "quantity:24 month"),
        ("twenty-four months", "quantity:24 month"),
        ("three to five working days", "quantity:3-5 day"),
        ("50 percent", "quantity:50 percent"),
        ("v2.4.1", "version:2.4.1"),
        ("https://www.x.example/a", "url:x.example/a"),
        ("a@b.example", "e-mail:a@b.example"),
    ],
)
def test_capitals_do_not_change_what_a_value_means(value: str, reading: str) -> None:
    for spelled in (value, value.upper(), value.title()):
        (found,) = find_values(f"It is {spelled}.")
        assert reading in found.readings, spelled


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        ("£1.55m", "money:GBP 1550000"),
        ("£12.3456 thousand", "money:GBP 12345.6"),
        ("1.2345k euros", "money:EUR 1234.5"),
        ("$3 billion", "money:USD 3000000000"),
        ("CHF 1'250.50", "money:CHF 1250.5"),
        ("two weeks", "quantity:14 day"),
        ("1-2 years", "quantity:12-24 month"),
        ("1.5 years", "quantity:1.5 year"),
        ("thirty-six months", "quantity:36 month"),
        ("20 cents", "money:USD 0.2"),
    ],
)
def test_amounts_are_read_with_their_scale_and_in_smaller_units(value: str, reading: str) -> None:
    (found,) = find_values(f"It is {value}, we say.")
    assert found.text == value
    assert reading in found.readings


@pytest.mark.parametrize("evidence", ["on 2 March 2026", "on 3 February 2026"])
def test_a_date_that_can_be_read_in_two_ways_is_stated_by_either(evidence: str) -> None:
    (value,) = find_values("on 02/03/2026")
    assert TextValues.of(evidence).states(value)
    assert not TextValues.of("on 4 March 2026").states(value)


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("Store it at -18 °C.", ["quantity:-18 celsius"]),
        ("bei minus 18 Grad, nie über −15,5°C", ["quantity:-18 celsius", "quantity:-15.5 celsius"]),
        ("between -20 and -18 °C, at 2-8 °C", ["number:-20", "quantity:-18 celsius", "quantity:2-8 celsius"]),
        ("-2 kg of flour\n-3 eggs", ["quantity:2 kilogram", "number:-3"]),
        ("1½ hours or 1 ½ hours, ½ hour", [*["quantity:1.5 hour"] * 2, "quantity:0.5 hour"]),
        ("£2½, 3¼ inches, 1¾ million pounds", ["money:GBP 2.5", "quantity:3.25 inch", "money:GBP 1750000"]),
        ("1 1/2 hours, 2-1/4 kg, 1⁄2 l", ["quantity:1.5 hour", "quantity:2.25 kilogram", "quantity:0.5 litre"]),
        ("2⅔ kg or 2 2/3 kg, -1 1/2 °C", [*["quantity:2.6667 kilogram"] * 2, "quantity:-1.5 celsius"]),
        ("£20 1/2 hour, 1 1/2/2026, page 1/2, 5 3/2", ["money:GBP 20", "number:1", "date:2026-02-01", "number:5"]),
        ("-10 to 5 °C, minus 18 degrees", ["quantity:-10-5 celsius", "number:-18"]),
        ("10 minus 3", ["number:10", "number:3"]),
    ],
)
def test_numbers_below_nought_and_fractions_have_their_value(text: str, readings: list[str]) -> None:
    assert [value.readings[0] for value in find_values(text)] == readings


def test_degrees_below_nought_are_stated_whichever_way_they_are_written() -> None:
    (value,) = find_values("Keep it at minus 18 degrees.")
    assert TextValues.of("It is stored at -18 °C.").states(value)
    assert not TextValues.of("It is stored at 18 °C.").states(value)


def test_years_and_weeks_in_fractions_are_whole_months_and_days_where_they_are() -> None:
    assert find_values("1 1/2 years")[0].readings == ("quantity:1.5 year", "quantity:18 month")
    assert find_values("2.5-3 years")[0].readings == ("quantity:2.5-3 year", "quantity:30-36 month")
    assert find_values("1½ weeks")[0].readings == ("quantity:1.5 week",)


def test_both_hours_of_a_span_are_times() -> None:
    for text in ("von 9 bis 17 Uhr", "9-17 Uhr", "von 9:00 bis 17:00 Uhr"):
        assert [value.readings for value in find_values(text)] == [("time:09:00",), ("time:17:00",)]


def test_a_date_that_begins_a_line_is_no_place_in_a_list() -> None:
    (value,) = find_values("31. März 2026: die Preise steigen")
    assert value.readings == ("date:2026-03-31",)


@pytest.mark.parametrize(
    "text",
    [
        "one day soon",
        "im 2. Versuch",
        "die 3. Wahl",
        "la 2.ª vez",
        "le 1er essai",
        "03/26",
        "1. First",
        "see step 3",
        "as in [2]",
        "24/7",
        "the 3rd time",
        "#1",
    ],
)
def test_numbers_that_say_nothing_are_no_values(text: str) -> None:
    assert find_values(text) == []
