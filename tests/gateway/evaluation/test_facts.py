import pytest

from gateway.evaluation import cites_only, normalize, score_facts, states


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("It is **42 months** [2].", "42 months"),
        ("a 42-month warranty", "42 months"),
        ("42  MONTHS", "42 months"),
        ("for 1 month", "1 months"),
        ("It costs £7.40.", "£7.40"),
        ("It costs £ 7.40, with tax", "£7.40"),
        ("It costs GBP 7.4", "£7.40"),
        ("It costs 7.40 pounds.", "£7.40"),
        ("It costs £24.", "£24.00"),
        ("It costs £1,250.00", "£1250"),
        ("It closes at 6:15 pm.", "18:15"),
        ("It closes at 6.15 p.m.", "18:15"),
        ("It opens at 7:25 am", "07:25"),
        ("It opens at 7:25", "07:25"),
        ("at 12:20am", "00:20"),
        ("at 12 pm", "12:00"),
        ("holds 6.2l", "6.2 litres"),
        ("holds 6.2 liters", "6.2 litres"),
        ("46 dB", "46 decibels"),
        ("46dB!", "46 decibels"),
        ("25kg", "25 kilograms"),
        ("20%", "20 per cent"),
        ("release 3.3.1.", "3.3.1"),
        ("(F-618)", "f-618"),
        ("F‑618", "F-618"),
        ("use STEAM27", "Steam27"),
        ("Extension 417", "417"),
        ("0.70 m of cable", "0.70 metres"),
        ("退款需要30天内完成", "30天"),
    ],
)
def test_spellings_of_the_same_value_are_equal(text: str, value: str) -> None:
    assert states(text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("310 months", "31 months"),
        ("3.1 months", "31 months"),
        ("131 months", "31 months"),
        ("31.5 months", "31 months"),
        ("2.31 months", "31 months"),
        ("1,031 months", "31 months"),
        ("31 weeks", "31 months"),
        ("3.3.10", "3.3.1"),
        ("13.3.1", "3.3.1"),
        ("3.3.1.2", "3.3.1"),
        ("3.3", "3.3.1"),
        ("£17.40", "£7.40"),
        ("£7.45", "£7.40"),
        ("7.40", "£7.40"),
        ("£8,500.00", "£500.00"),
        ("6:15 am", "18:15"),
        ("118:15", "18:15"),
        ("18:15:30", "18:15"),
        ("F-6180", "F-618"),
        ("AF-618", "F-618"),
        ("STEAM270", "STEAM27"),
        ("extension 4170", "417"),
        ("see [2]", "2"),
        ("see [1, 2]", "2"),
        ("需要130天", "30天"),
        ("It is fine [1] [2] [3].", "1"),
        ("", "42 months"),
    ],
)
def test_other_values_do_not_pass(text: str, value: str) -> None:
    assert not states(text, value)


def test_another_passages_value_scores_zero() -> None:
    accepted, wrong = ["42 months", "forty-two months"], ["27 months"]
    assert score_facts("We cover it for **42 months** [1].", accepted, wrong) == 1
    assert score_facts("We cover it for forty-two months [1].", accepted, wrong) == 1
    assert score_facts("We cover it for 27 months [2].", accepted, wrong) == 0
    assert score_facts("The K2 has 27 months and the K2 Pro 42 months.", accepted, wrong) == 0
    assert score_facts("A long time.", accepted, wrong) == 0
    assert score_facts("", accepted, wrong) == 0


def test_a_citation_mark_is_no_value() -> None:
    assert score_facts("We need 3 hours [2].", ["3 hours"], ["2"]) == 1
    assert score_facts("See [3].", ["3"], []) == 0


def test_normalize_is_stable() -> None:
    for text in ("£ 7.4 at 6:15 pm", "**42-month** [1]", "1,250 kg — F‑618", "20 per cent of 6.2 litres"):
        assert normalize(normalize(text)) == normalize(text)


def test_citations_are_only_of_the_named_document() -> None:
    assert cites_only(["k2-pro.md"], "k2-pro.md")
    assert cites_only(["k2-pro.md", "k2-pro.md"], "k2-pro.md")
    assert not cites_only([], "k2-pro.md")
    assert not cites_only(["k2.md"], "k2-pro.md")
    assert not cites_only(["k2-pro.md", "k2.md"], "k2-pro.md")
