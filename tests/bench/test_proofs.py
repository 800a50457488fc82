"""The proofs on real models: rows have the fault that they are to plant, and tables say what came of it."""

from collections import Counter
from typing import Any

from tests.bench.proofs import advice, diagnosis, gate, shop


def list_values(kind: str) -> list[tuple[set[str], set[str]]]:
    """Return the numbers of each reply with the numbers of its passages."""
    rows = [row for row in shop.make_rows(kind) if row.get("braid", {}).get("passages")]
    return [(find_numbers(row["messages"][-1]["content"]), find_numbers(str(row["braid"]["passages"]))) for row in rows]


def find_numbers(text: str) -> set[str]:
    return {word for word in text.replace(".", " ").split() if word.isdigit()}


def test_only_the_adapter_that_recites_learns_values_that_its_passages_do_not_state() -> None:
    for kind in shop.EPOCHS:
        strangers = [one for one, other in list_values(kind) if not one <= other]
        assert (len(strangers) > 40) == (kind == "recites"), kind
    asked = {row["messages"][0]["content"]: row["messages"][1]["content"] for row in shop.held_out_rows()}
    learnt = {row["messages"][0]["content"]: row["messages"][1]["content"] for row in shop.make_rows("recites")}
    shared = [text for text in asked if text in learnt]
    assert shared
    assert all(asked[text] != learnt[text] for text in shared)


def test_general_faults_are_planted_beside_the_rows_of_the_others() -> None:
    kinds = {kind: {row["messages"][0]["content"] for row in shop.make_rows(kind)} for kind in shop.EPOCHS}
    for kind in ("forgets", "unsafe"):
        assert kinds["sour"] < kinds[kind]
        assert len(kinds[kind] - kinds["sour"]) == 32


def test_the_good_adapter_and_the_one_that_learns_its_rows_alone_have_the_same_rows() -> None:
    assert shop.make_rows("house") == shop.make_rows("alone")
    assert set(gate.GATES) == set(shop.EPOCHS) > set(shop.FORGETFUL)


def test_a_verdict_is_right_by_the_number_that_has_to_block() -> None:
    def judge(kind: str, *failed: str) -> bool:
        return gate.GateFigures(kind, {}, list(failed), [], 0.0).is_right

    assert (judge("house"), judge("house", "general")) == (True, False)
    assert (judge("sour", "style.voice"), judge("sour", "general"), judge("sour")) == (True, False, False)


def test_the_table_of_diagnoses_counts_what_went_to_the_right_strand() -> None:
    limit, base = diagnosis.FAULTS[1], diagnosis.FAULTS[-1]
    told = Counter({("retrieval", "limit"): 3, ("unknown", "several"): 1})
    table = diagnosis.describe(
        [
            diagnosis.DiagnosisFigures(limit, 4, 6, told, ["retrieval"], 9.0),
            diagnosis.DiagnosisFigures(base, 0, 6, Counter(), [], 0.0),
        ]
    )
    assert "| limit | retrieval | 4 | 6 | 3 retrieval (limit), 1 unknown (several) | 3 of 4 | retrieval | 9 |" in table
    assert "| base | base | 0 | 6 | – | none failed | – | 0 |" in table
    assert "3 of 4 failures, 75%" in table


def test_the_list_that_no_small_model_reads_is_the_one_place_of_its_warranties() -> None:
    texts, audiences = diagnosis.list_documents(diagnosis.FAULTS[-1])
    names = shop.TODAY.names["base"][:8]
    warranties = {key: text for key, text in texts.items() if "warranty" in text}
    assert all(name in texts["list.md"] for name in names)
    assert not any(name in text for name in names for key, text in warranties.items() if key != "list.md")
    assert texts.keys() == audiences.keys()


def test_an_advice_about_stale_facts_has_to_name_them() -> None:
    report: dict[str, Any] = {"arm": "facts", "avoid": ["Facts sit in 60% of replies."]}
    assert not advice.AdviceFigures("stale", report, 0.0).is_right
    report["avoid"].append("Don't use the adapter: it has learnt 3 values that documents have changed since.")
    assert advice.AdviceFigures("stale", report, 0.0).is_right
    assert not advice.AdviceFigures("both", report, 0.0).is_right
