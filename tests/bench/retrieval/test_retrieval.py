"""The parts of this benchmark that need neither Debian's packages nor a model."""

import pytest

from retrieval.fusion import fuse_scores
from tests.bench.retrieval.__main__ import TODAY, print_abstention, print_metric
from tests.bench.retrieval.fusions import FUSIONS
from tests.bench.retrieval.markup import read_html, read_man, read_pod, read_rst, split_man
from tests.bench.retrieval.models import choose, draw
from tests.bench.retrieval.near_names import make_near_names
from tests.bench.retrieval.procedures import read_links
from tests.bench.retrieval.runs import CandidateScore
from tests.bench.retrieval.turns import shorten
from tests.gateway.evaluation.retrieval_reports import make_sample

CANDIDATES = [CandidateScore("a", 0.9, 0.0), CandidateScore("b", 0.5, 0.8), CandidateScore("c", 0.4, 0.2)]


def order(name: str) -> str:
    scores = FUSIONS[name](CANDIDATES, 0.1)
    assert all(0 <= score <= 1 for score in scores)
    return "".join(one.document for _, one in sorted(zip(scores, CANDIDATES, strict=True), key=lambda pair: -pair[0]))


def test_each_fusion_ranks_as_it_should() -> None:
    assert order("dense") == "abc"
    assert order("BM25") == "bca"
    assert order("RRF") == "bca"  # the second in one list and the first in the other, before what is in one list only
    assert order("weighted sum 0.8") == "abc"
    assert order("weighted sum") == "abc"
    words = [CandidateScore("a", 0.5, 0.1), CandidateScore("b", 0.4, 0.9)]
    assert FUSIONS["weighted sum"](words, 0.1)[1] > FUSIONS["weighted sum 0.8"](words, 0.1)[1]
    assert FUSIONS["weighted sum 0.5"](CANDIDATES[1:2], 0.1) == [pytest.approx(0.5 * 0.4 / 0.9 + 0.5 * 0.8)]
    sure = [CandidateScore("a", 0.9, 0.0), CandidateScore("b", 0.55, 1.0)]
    assert FUSIONS["weighted sum by gap"](sure, 0.0) == [pytest.approx(0.3 * 0.9), pytest.approx(0.3 * 0.55 + 0.7)]
    assert order("DBSF") == "bac"
    assert FUSIONS["weighted sum 0.8"](CANDIDATES, 0.1)[1] == pytest.approx(fuse_scores(0.5, 0.8, 0.1))
    ranks = FUSIONS["RRF"](CANDIDATES, 0.1)
    assert ranks[1] == pytest.approx((1 / 62 + 1 / 61) / (2 / 61))
    assert all(fusion([], 0.1) == [] for fusion in FUSIONS.values())


def test_markup_becomes_plain_text() -> None:
    assert read_pod("Use L<C<select>|/select RBITS> and B<no> E<lt>file>.\n\n=over\n\n=item One\n\n=back\n") == (
        "Use select and no <file>.\n\n- One"
    )
    assert read_rst("See :func:`breakpoint` or `pdb <x.html>`_ and ``a``::\n\n.. _x:\n\nMore.") == (
        "See breakpoint or pdb and a:\n\nMore."
    )
    assert (
        read_html("<p>One &amp; <b>two</b></p><table><tr><td>K2</td><td>49</td></tr></table>") == "One & two\n\nK2 | 49"
    )
    page = (
        '.TH LS 1\n.SH NAME\nls \\- list\n.SH DESCRIPTION\n.\\" no\n.PP\n\\fBls\\fP lists \\(lqfiles\\(rq.\n.B bold\n'
    )
    assert split_man(page) == [("NAME", "ls - list"), ("DESCRIPTION", "ls lists “files”.\nbold")]
    assert read_man(".TS\n") == ""


def test_a_paragraph_with_links_asks_for_the_sections_behind_them() -> None:
    words = "Packages of several distributions can be mixed, which needs care with their priorities. " * 2
    link = '<a class="xref" href="apt.html#prio">Section 6.2</a>'
    html = f'<div class="para">{words}(see {link}).</div><div class="para">{words}</div><p>Short {link}</p>'
    assert list(read_links(html)) == [(f"{words.strip()}.", ["apt.html#prio"])]


def test_the_noun_that_both_turns_have_becomes_it() -> None:
    assert shorten("How do I sort a hash?", "How do I know the size of a hash?") == "How do I know the size of it?"
    assert shorten("How do I sort a hash?", "How do I read a file?") is None
    assert shorten("How do I read a file?", "Why can't I read bytes?") is None


def test_near_names_are_alike_but_for_their_names() -> None:
    near = make_near_names()
    titles = {document.title for document in near.documents}
    assert {"K2 manual", "K2 Pro manual", "K20 manual"} <= titles
    assert len(titles) == len(near.documents) == len({document.id for document in near.documents})
    assert {name for question in near.questions for name in question.documents} <= {one.id for one in near.documents}


def test_choices_are_those_of_every_machine() -> None:
    assert [draw(f"text {n}", 10) for n in range(6)] == [draw(f"text {n}", 10) for n in range(6)]
    assert len({choose(f"text {n}", "abcdef") for n in range(100)}) == 6


def test_the_tables_mark_what_is_beyond_its_interval(capsys: pytest.CaptureFixture[str]) -> None:
    report = make_sample(2, 1)
    print_metric({"set": report}, "mrr")
    print_abstention(report)
    printed = capsys.readouterr().out
    assert "| place 1 <of all> | 1.000 ±0.00 ▲ |" in printed
    assert "| place 2 <of all> | 0.450 | 1.00" in printed
    assert TODAY not in printed
