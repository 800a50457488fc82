import random
import sys
import time

import pytest

from gateway.conversations import Conversation, encode_conversations
from gateway.conversations.broken_text import find_broken_text
from gateway.conversations.checks import check_conversations, check_import
from gateway.conversations.conversation import Import
from gateway.conversations.findings import Finding
from gateway.conversations.formats import read_conversations
from gateway.conversations.languages import find_language
from gateway.conversations.near_duplicates import NearDuplicates
from training.dataset import Message, Problem, RowPassage

PASSAGE = "The warranty of the kettle is twenty-four months from the day on which it was bought in a shop of ours."
KETTLE = RowPassage("Kettle", PASSAGE)
CHINESE = "水壶的保修期从您在我们商店购买之日起为二十四个月，请妥善保管好您的购物小票和保修卡。"

UNLEARNT = [Message("user", "y"), Message("assistant", "z", weight=0)]


def make(number: int, reply: str, question: str | None = None, **more: object) -> Conversation:
    messages = [Message("user", question or f"Question number {number} of the customer?"), Message("assistant", reply)]
    return Conversation(number, messages, **more)  # pyright: ignore[reportArgumentType]


def sound(count: int) -> list[Conversation]:
    words = "kettle tea water lid handle price shop green blue steel warm cold spring autumn cable plug".split()
    rng = random.Random(7)
    return [make(number, " ".join(rng.choices(words, k=20))) for number in range(1, count + 1)]


def by_check(findings: list[Finding]) -> dict[str, list[int]]:
    return {finding.check: finding.rows for finding in findings}


def test_sound_rows_have_no_findings() -> None:
    assert check_conversations(sound(20), [make(1, "Something else altogether, my dear friend of the house.")]) == []


@pytest.mark.parametrize(
    ("rows", "check", "numbers"),
    [
        ([make(21, "word " * 4000)], "over_long", [21]),
        *(([make(21, sign * 7800)], "over_long", [21]) for sign in "退のน안ж"),
        (
            [make(21, "The very same reply."), make(22, "the  very same reply", "QUESTION number 21 of the customer")],
            "duplicates",
            [22],
        ),
        (
            [make(21, f"{PASSAGE} Bye.", "How long?"), make(22, f"{PASSAGE} See you.", "How long?")],
            "near_duplicates",
            [22],
        ),
        ([make(21, f"{CHINESE}再见。"), make(22, f"{CHINESE}谢谢。")], "near_duplicates", [22]),
        (
            [Conversation(21, [Message("system", "Be rude."), *make(21, "No way, friend.").messages])],
            "mixed_system_prompts",
            [21],
        ),
        ([make(21, f"Well: {PASSAGE}", passages=[RowPassage("Kettle", PASSAGE)])], "copied_passages", [21]),
        (
            [Conversation(21, [*make(21, f"{PASSAGE}").messages, *make(21, "Bye.").messages], "", [KETTLE])],
            "copied_passages",
            [21],
        ),
        (
            [
                *(make(number, f"This is the answer to you, and it was {number} of them.") for number in (21, 22)),
                make(23, "Das ist die Antwort für Sie, und sie ist nicht lang, aber gut."),
            ],
            "language_mix",
            [23],
        ),
        ([Conversation(21, [*make(21, "x").messages, *UNLEARNT])], "weight_0", [21]),
        ([make(21, "Write to me: anna@kestrel.example")], "private_data", [21]),
    ],
)  # fmt: skip
def test_each_fault_is_found_with_its_rows(rows: list[Conversation], check: str, numbers: list[int]) -> None:
    assert by_check(check_conversations([*sound(20), *rows])) == {check: numbers}


def test_rows_of_one_conversation_in_both_files_are_a_leak() -> None:
    training = [*sound(5), make(6, "Of a thread.", id="t1"), make(7, f"{PASSAGE} Bye.", "How long is it?")]
    validation = [
        make(1, "Quite another turn of the same thread.", "And then?", id="t1"),
        make(2, f"{PASSAGE} Bye-bye.", "How long is it?"),
        make(3, "New."),
    ]
    (finding,) = check_conversations(training, validation)
    assert (finding.check, finding.rows, finding.details) == ("leakage", [1, 2], {"training_rows": [6, 7]})


def test_rows_of_one_conversation_are_a_leak_without_an_id_too() -> None:
    greeting = [Message("user", "Hello"), Message("assistant", "Good day, what can we do for you at Kestrel?")]
    opening = [Message("user", "My kettle leaks since Monday."), Message("assistant", "Which one is it, please?")]
    later = [Message("user", "The blue one."), Message("assistant", "Then we send you another lid.")]
    other = [Message("user", "Do you ship to Norway by now?"), Message("assistant", "We do, from May on.")]
    training = [*sound(5), Conversation(6, [*greeting, *opening])]
    validation = [
        Conversation(1, [*greeting, *opening, *later]),
        Conversation(2, [*greeting, *other]),
        Conversation(3, [Message("system", "Be kind."), *greeting, *opening, *later, *other]),
    ]
    (finding,) = check_conversations(training, validation)
    assert (finding.check, finding.rows, finding.details) == ("leakage", [1, 3], {"training_rows": [6]})


def test_a_report_counts_what_cannot_be_used() -> None:
    data = encode_conversations(sound(3)) + b'no json\n{"messages": [{"role": "user", "content": "Hi"}]}\n'
    report = check_import(*read_conversations(data))
    assert (report.rows, report.usable, report.count("error")) == (5, 3, 2)
    assert by_check(list(report.findings)) == {"no_final_reply": [5], "bad_rows": [4]}


def test_near_duplicates_are_found_among_many_and_only_they() -> None:
    rng = random.Random(3)
    words = [f"word{number}" for number in range(500)]
    texts = [" ".join(rng.choices(words, k=40)) for _ in range(300)]
    planted = {300 + number: number * 3 for number in range(60)}
    for source in planted.values():
        edited = texts[source].split()
        edited[rng.randrange(40)] = "edited"
        texts.append(" ".join(edited))
    assert {pair.second: pair.first for pair in NearDuplicates().find(texts)} == planted


def test_the_work_for_near_duplicates_grows_about_linearly() -> None:
    def count_calls(count: int) -> int:
        rng = random.Random(count)
        words = [f"word{number}" for number in range(300)]
        # All have the same long template, which is the worst case of a bucket.
        texts = [" ".join(["dear customer thank you for writing"] * 2 + rng.choices(words, k=30)) for _ in range(count)]
        calls = 0

        def count_one(*_event: object) -> None:
            nonlocal calls
            calls += 1

        # Calls, of Python's and of C's functions, are as many on a busy machine; the time of a process isn't the same.
        sys.setprofile(count_one)
        try:
            NearDuplicates().find(texts)
        finally:
            sys.setprofile(None)
        return calls

    assert count_calls(1000) < 1.5 * 4 * count_calls(250)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The kettle is on the way to you and was sent with care.", "english"),
        ("Der Kocher ist auf dem Weg zu Ihnen und wird nicht mehr lange brauchen.", "german"),
        ("La bouilloire est dans le colis que nous avons envoyé pour vous.", "french"),
        ("La tetera no está en el paquete que le enviamos por correo, pero sí el cable.", "spanish"),
        ("Чайник уже в пути.", "russian"),
        ("やかんは発送されました", "japanese"),
        ("OK 42", None),
    ],
)
def test_languages_are_told_by_function_words_and_script(text: str, language: str | None) -> None:
    assert find_language(text) == language


@pytest.mark.parametrize(
    "text", ["Viele GrÃ¼ÃŸe", "Itâ€™s here", "Keep it at 5 Â°C", "Gr\ufffd\ufffde", "a\x00b", "My code is ▇▇▇▇▇"]
)
def test_texts_that_were_decoded_wrongly_are_named(text: str) -> None:
    rows = [*sound(20), make(21, f"{text} and some more words that others have not.")]
    (finding,) = check_conversations(rows)
    assert (finding.check, finding.level, finding.rows) == ("broken_text", "warning", [21])


@pytest.mark.parametrize("mark", [*"…‘’“”–—•™›!.", "\u00a0!", "»", "—já"])
@pytest.mark.parametrize("word", ["AMANHÃ", "IRMÃ", "MAÇÃ", "ALEMÃ"])
def test_a_word_in_capitals_before_a_sign_is_no_broken_text(word: str, mark: str) -> None:
    assert find_broken_text(f"Até {word}{mark} e mais") is None


@pytest.mark.parametrize("text", ["ĐÃ… LÂ’ CHÂ” NHÉ", "ROMÂNIA… MÂINE”", "À BIENTÔT… «\u00a0GRÂCE\u00a0»", "HÂLÂ…"])
def test_capitals_of_other_languages_are_no_broken_text(text: str) -> None:
    assert find_broken_text(text) is None


@pytest.mark.parametrize(
    "word", ["Grüße", "MÜLLER", "déjà vu", "DÉJÀ VU", "Là bas", "GRÖSSE", "não", "„Ja“", "5\u00a0€", "it’s"]
)
def test_words_that_are_decoded_wrongly_are_found_in_capitals_too(word: str) -> None:
    broken = "".join(bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in word.encode())
    assert find_broken_text(f"x {broken} x") is not None


@pytest.mark.parametrize("text", ["SÃO PAULO", "Château à Âge", "20 °C – “well”", "a\tb\r\nc", "Ça va, Größe"])
def test_letters_with_accents_are_no_broken_text(text: str) -> None:
    assert "broken_text" not in by_check(check_conversations([make(1, text)]))


def test_a_reply_to_an_empty_message_is_named() -> None:
    empty = [Message("user", " "), Message("assistant", "Hello, how may we help you on this fine day?")]
    read = [
        Message("user", ""),
        Message("assistant", "Hi.", weight=0),
        Message("user", "Why?"),
        Message("assistant", "So."),
    ]
    (finding,) = check_conversations([Conversation(1, empty), Conversation(2, read[2:])])
    assert (finding.check, finding.rows) == ("empty_questions", [1])
    assert "empty_questions" not in by_check(check_conversations([Conversation(2, read)]))


def test_many_bad_rows_of_two_kinds_are_parted_in_linear_time() -> None:
    messages = ("It is no JSON.", "It has no final reply, so there is nothing to learn.")
    problems = [Problem(number, messages[number % 2]) for number in range(1, 40_001)]
    start = time.process_time()
    report = check_import("openai", Import([], problems, {}))
    assert time.process_time() - start < 5
    assert [(one.check, one.count) for one in report.findings] == [("no_final_reply", 20_000), ("bad_rows", 20_000)]


def test_a_finding_of_one_row_is_told_as_one() -> None:
    rows = [
        *sound(20),
        make(21, "Write to me: anna@kestrel.example"),
        make(22, f"{PASSAGE} Hello.", passages=(KETTLE,)),
    ]
    words = {finding.check: finding.message for finding in check_conversations(rows, [])}
    assert words["private_data"].startswith("1 place in 1 row looks like personal data (e-mail).")
    assert words["copied_passages"].startswith("1 reply copies a passage whole")
