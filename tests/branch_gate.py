"""The gate on branch coverage: `python -m tests.branch_gate .coverage.json 90`.

SlipCover's own `--fail-under` counts lines and branches together, and lines are six times as many.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["judge"]


def judge(summary: Mapping[str, int], least: float) -> str | None:
    """Return why a summary of SlipCover's doesn't pass; None where it does.

    Args:
        summary: The member `summary` of its JSON.
        least: The share of the branches that has to be covered, in percent.
    """
    covered, missing = summary["covered_branches"], summary["missing_branches"]
    if not covered + missing:
        return "No branch was counted: the tests ran without `-p tests.branch_coverage`."
    share = 100 * covered / (covered + missing)
    if share >= least:
        return None
    return f"{share:.2f} % of the branches are covered ({covered} of {covered + missing}), and {least:g} % have to be."


def main(file: str, least: str) -> None:
    """End the process with the reason where the coverage in a file doesn't pass."""
    summary = json.loads(Path(file).read_text())["summary"]
    reason = judge(summary, float(least))
    if reason is not None:
        sys.exit(reason)
    covered = summary["covered_branches"]
    share = 100 * covered / (covered + summary["missing_branches"])
    sys.stdout.write(f"{share:.2f} % of the branches are covered.\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
