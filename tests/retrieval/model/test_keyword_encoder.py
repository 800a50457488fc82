"""Words are terms by the language and the script that they are written in, and identifiers as they are."""

import pytest
import qdrant_edge as edge

from retrieval.keyword_encoder import AVERAGE_TOKENS, KeywordEncoder
from retrieval.languages import LATIN

ENCODER = KeywordEncoder()


def share_terms(question: str, passage: str) -> int:
    return len(set(ENCODER.encode_question(question).indices) & set(ENCODER.encode_passages([passage])[0].indices))


def test_english_prose_has_the_terms_and_weights_of_the_engine() -> None:
    text = (
        "The warranty of the kestrel kettle lasts nineteen months when its kettles are descaled with acid every spring."
    )
    engine = edge.Bm25(edge.Bm25Config(language="english", avg_len=AVERAGE_TOKENS)).embed_document(text)
    passage = ENCODER.encode_passages([text])[0]
    assert dict(zip(passage.indices, passage.values, strict=True)) == pytest.approx(
        dict(zip(engine.indices, engine.values, strict=True))
    )


@pytest.mark.parametrize(
    ("question", "passage", "terms"),
    [
        ("Wie lange halten die Batterien?", "Die Batterie ist nach zwei Jahren leer und wird nicht ersetzt.", 1),
        ("Batterien", "Die Batterie ist nach zwei Jahren leer und wird nicht ersetzt.", 1),
        ("¿Cuánto duran las baterías?", "La batería no se cambia, y para el resto de los daños hay una garantía.", 1),
        ("Comment changer les batteries ?", "Vous devez changer la batterie avec les outils que nous avons.", 2),
        ("Сколько длится гарантия?", "Срок гарантии два года.", 1),
        ("Πώς αλλάζω τις μπαταρίες;", "Η μπαταρία αλλάζει κάθε χρόνο.", 1),
        ("battery lives", "The batteries that live in it are old, and you have to buy them.", 2),
        ("保証期間", "この製品の保証は二年です。", 1),
        ("ファイルを表示", "指定したファイルの内容を表示する。", 5),
        ("ＳＱＬ ﬁle", "The SQL files are here", 2),
        ("배터리 교체", "배터리를 교체하십시오", 3),
        ("what is it", "What it is, it is.", 0),
    ],
)
def test_a_question_meets_other_forms_of_its_words(question: str, passage: str, terms: int) -> None:
    assert share_terms(question, passage) == terms


def test_function_words_of_the_passages_language_are_no_terms() -> None:
    german = ENCODER.encode_passages(["Die Garantie ist nicht in dem Preis, der mit der Rechnung kommt."])[0]
    assert len(german.indices) == len({"Garantie", "Preis", "Rechnung", "kommt"})


def test_a_passage_without_function_words_has_the_language_of_its_document() -> None:
    prose = "Die Batterien sind nach zwei Jahren leer und werden nicht ersetzt."
    table = "Batterien | 24 Monate"
    (alone,), (_, in_document) = ENCODER.encode_passages([table]), ENCODER.encode_passages([prose, table])
    assert alone.indices != in_document.indices
    assert set(ENCODER.encode_question("Wie lange hält die Batterie?").indices) & set(in_document.indices)


def test_code_in_a_document_does_not_change_its_language() -> None:
    code = "for i in files: print(i); del i, a, la = de, en"
    assert ENCODER.encode_passages(["You will find the files in it.", code])[1] == ENCODER.encode_passages([code])[0]


@pytest.mark.parametrize(
    ("identifier", "part"),
    [
        ("SQLITE_BUSY", "busy SQLITE"),
        ("sys.path", "path sys"),
        ("Foo::Bar", "Foo Bar"),
        ("3.11", "3 11"),
        ("K2-Pro", "K2 Pro"),
        ("C++", "C"),
    ],
)
def test_an_identifier_is_a_term_beside_its_parts(identifier: str, part: str) -> None:
    assert (
        share_terms(f"What about {identifier}?", f"It says {identifier}.")
        == share_terms(f"What about {identifier}?", f"It says {part}.") + 1
    )


@pytest.mark.parametrize(
    "text", ["", " ", "_", "\u0301", "?!", "日", "x" * 100_000, "日" * 10_000, "_" * 10_000, "a." * 9_000]
)
def test_any_text_has_a_vector(text: str) -> None:
    for vector in (ENCODER.encode_question(text), ENCODER.encode_passages([text])[0]):
        assert len(vector.indices) == len(set(vector.indices)) == len(vector.values)
        assert all(value > 0 for value in vector.values)


def test_the_engine_has_each_language() -> None:
    for language in (*LATIN, "russian", "greek", "arabic", "japanese"):
        assert edge.Bm25(edge.Bm25Config(language=language)).embed_query("xyz").indices
