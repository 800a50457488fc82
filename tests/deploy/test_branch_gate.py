"""The gate on branch coverage counts branches, as slipcover writes them down."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.branch_gate import judge, main

ROOT = Path(__file__).resolve().parents[2]


def counts(covered: int, missing: int) -> dict[str, int]:
    """Return a summary with every line covered."""
    return {"covered_lines": 9000, "missing_lines": 0, "covered_branches": covered, "missing_branches": missing}


def test_covered_lines_make_up_for_no_missing_branch() -> None:
    assert judge(counts(92, 8), 92) is None
    reason = judge(counts(919, 81), 92)
    assert reason == "91.90 % of the branches are covered (919 of 1000), and 92 % have to be."


def test_coverage_without_branches_does_not_pass() -> None:
    assert "No branch was counted" in (judge(counts(0, 0), 92) or "")


def test_a_report_of_slipcovers_passes_or_ends_the_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\n\nfor word in sys.argv:\n    if word:\n        pass\n")
    report, merged = tmp_path / "report.json", tmp_path / "merged.json"
    slipcover = [sys.executable, "-m", "slipcover"]
    options = ["--branch", "--immediate", "--source", str(tmp_path), "--json", "--out", str(report), str(program)]
    subprocess.run([*slipcover, *options], check=True, cwd=tmp_path, env={}, timeout=60)
    command = [*slipcover, "--merge", str(report), "--out", str(merged)]
    subprocess.run(command, check=True, cwd=tmp_path, env={}, timeout=60, capture_output=True)
    assert json.loads(merged.read_text())["summary"]["missing_branches"] == 1
    main(str(merged), "70")
    assert capsys.readouterr().out == "75.00 % of the branches are covered.\n"
    with pytest.raises(SystemExit, match=r"3 of 4\), and 92 % have to be"):
        main(str(merged), "92")


def test_make_test_asks_about_both_and_about_branches_alone() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ntest: ")[2].partition("\n\n")[0]
    assert "--fail-under $(LEAST_COVERAGE)" in recipe
    assert "-m tests.branch_gate .coverage.json $(LEAST_BRANCHES)" in recipe
