"""Tables as offices outside of England save them: headers in their language, in the encodings of Excel."""

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversations.checks import check_import
from gateway.conversations.conversation import UnusableFile
from gateway.conversations.formats import read_conversations
from gateway.conversations.formats.columns import COLUMNS

QUESTIONS = ("Frage", "Kundenfrage", "Anfrage", "Demande", "Pregunta", "Consulta", "question")
REPLIES = ("Antwort", "Réponse", "Respuesta", "reply")
ROWS = (
    ("Wie hoch ist die Gebühr?", "Sie beträgt 5 €, schönen Tag noch."),
    ("Où est ma commande ?", "Elle est arrivée à l’entrepôt, près de chez vous."),
    ("¿Cuánto cuesta el envío?", "El envío cuesta 4 € mañana y después también."),
)


def write(question: str, reply: str, rows: tuple[tuple[str, str], ...] = ROWS) -> str:
    cells = [("Nr", question, reply), *((1, *row) for row in rows)]
    return "".join(f'{number}\t"{one}"\t"{two}"\n' for number, one, two in cells)


@given(st.sampled_from(QUESTIONS), st.sampled_from(REPLIES), st.booleans())
def test_columns_are_known_by_their_names_in_several_languages(question: str, reply: str, capitals: bool) -> None:
    text = write(question.upper(), reply.upper()) if capitals else write(question, reply)
    _, content = read_conversations(text.encode())
    assert [[turn.text for turn in one.messages] for one in content.conversations] == [[*row] for row in ROWS]


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        ("Ticketnummer;Absender;Nachricht;Datum;Intern", ("Kunde", "Mitarbeiterin", "nein", "ja")),
        ("ticket_id;Auteur;Message;Créé le;Interne", ("Client", "Conseiller", "non", "oui")),
        ("Hilo;Remitente;Mensaje;Fecha;Interno", ("Cliente", "Agente", "no", "sí")),
    ],
)
def test_a_row_per_message_is_read_in_several_languages(header: str, roles: tuple[str, str, str, str]) -> None:
    user, agent, shown, hidden = roles
    table = (
        f"{header}\n1;{user};Wo?;2026-01-01;{shown}\n1;{agent};Nachsehen;2026-01-02;{hidden}\n"
        f"1;{agent};Da.;2026-01-03;{shown}\n"
    )
    _, content = read_conversations(table.encode())
    (conversation,) = content.conversations
    assert [turn.text for turn in conversation.messages] == ["Wo?", "Da."]


def test_a_record_with_german_names_is_read_as_one_with_english_names() -> None:
    name, content = read_conversations(json.dumps([{"Frage": "Wo?", "Antwort": "Da."}]).encode())
    assert name == "json"
    assert content.conversations[0].replies == ["Da."]


@given(
    st.lists(st.sampled_from(ROWS), min_size=1, max_size=6).map(tuple),
    st.sampled_from(["cp1252", "utf-16", "utf-8-sig", "utf-8", "mac_roman"]),
)
def test_a_table_is_read_in_the_encodings_in_which_excel_saves_it(
    rows: tuple[tuple[str, str], ...], encoding: str
) -> None:
    _, content = read_conversations(write("Frage", "Antwort", rows).encode(encoding))
    assert [tuple(turn.text for turn in one.messages) for one in content.conversations] == [*rows]
    assert bool(content.encoding) is (encoding in ("cp1252", "mac_roman"))


def test_a_check_says_that_an_encoding_was_told_by_letters_and_which_rows_to_look_at() -> None:
    data = write("Frage", "Antwort", (("Where?", "Here."), ROWS[0])).encode("cp1252")
    finding = next(one for one in check_import(*read_conversations(data)).findings if one.check == "older_encoding")
    assert finding.rows == [2]
    assert "Windows-1252" in finding.message


@pytest.mark.parametrize(
    "data",
    [
        write("Frage", "Antwort").encode() + b'4\t"Gr\xfc\xdfe"\t"So."\n',  # one row in another encoding
        "Frage,Antwort\nГде мой заказ?,Он в пути.\n".encode("cp1251"),
        b"Frage,Antwort\nWo?,\xfc\x81\x9d\n",
        b"Frage,Antwort\nHow much?,It is 5 \xff each\n",  # one byte, which is no letter of a rare encoding
    ],
)
def test_a_table_in_a_doubtful_encoding_is_refused_with_the_way_out(data: bytes) -> None:
    with pytest.raises(UnusableFile, match="CSV UTF-8"):
        read_conversations(data)


def test_a_column_is_known_by_a_name_whose_accents_stand_apart() -> None:
    _, content = read_conversations("Question;Re\u0301ponse\nWhere?;Here.\n".encode())
    assert [turn.text for turn in content.conversations[0].messages] == ["Where?", "Here."]


def test_intercoms_list_without_parts_says_what_to_export() -> None:
    record = {"type": "conversation", "id": "1", "source": {"body": "<p>Where?</p>", "author": {"type": "user"}}}
    name, content = read_conversations(json.dumps({"type": "conversation.list", "conversations": [record]}).encode())
    assert name == "intercom"
    assert "conversations or parts" in content.problems[0].message


def test_a_check_tells_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    check_import(*read_conversations(write("Frage", "Antwort").encode()), tell=lambda *count: told.append(count))
    assert told == [(done, len(told)) for done in range(1, len(told) + 1)] != []


def write_ticket(number: int, requester: int, authors: list[int], **members: object) -> dict[str, object]:
    comments = [{"author_id": one, "plain_body": f"Text {one} of {number}."} for one in authors]
    return {"id": number, "via": {"channel": "web"}, "requester_id": requester, "comments": comments, **members}


@pytest.mark.parametrize("members", [{"submitter_id": 5}, {"collaborator_ids": []}, {"email_cc_ids": [7]}])
def test_who_alone_replies_to_zendesks_requester_is_an_agent_without_users(members: dict[str, object]) -> None:
    _, content = read_conversations(json.dumps({"tickets": [write_ticket(1, 5, [5, 9], **members)]}).encode())
    assert [one.replies for one in content.conversations] == [["Text 9 of 1."]]


@pytest.mark.parametrize(
    "tickets",
    [
        [write_ticket(1, 5, [5, 9], collaborator_ids=[9])],
        [write_ticket(1, 5, [5, 9], submitter_id=5), write_ticket(2, 9, [9], submitter_id=9)],
        [write_ticket(1, 5, [5, 9, 8], submitter_id=5)],
        [write_ticket(1, 5, [5, 9])],
    ],
)
def test_who_may_be_a_customers_colleague_is_no_agent(tickets: list[dict[str, object]]) -> None:
    _, content = read_conversations(json.dumps({"tickets": tickets}).encode())
    assert content.conversations == []
    assert content.problems


def test_each_name_of_a_column_is_one_columns_alone() -> None:
    assert all({*one}.isdisjoint(other) for one, other in product(COLUMNS.values(), repeat=2) if one is not other)
