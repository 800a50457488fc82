"""What stood against a rule when the rule came, until it is mended: a file per rule in `standing/`, a breach per line.

A breach that isn't listed fails the test, and so does a line that nothing breaks any more: the lists only shrink.

    python -m tests.architecture.standing        writes them anew, after a merge that moved names; read the diff
"""

import json
import subprocess
import sys
from pathlib import Path

from tests.architecture.ruled import RULES, breaches
from tests.architecture.source import PACKAGES, ROOT

FOLDER = Path(__file__).with_name("standing")


def listed(rule: str) -> set[str]:
    """Return what stands against a rule, by the name of its function."""
    file = FOLDER / f"{rule}.txt"
    return set(file.read_text().splitlines()) if file.exists() else set()


def moods() -> set[str]:
    """Return the first lines of functions' docstrings that aren't in the imperative, by ruff's D401.

    When nothing stands any more, this becomes a line of ruff's own settings.
    """
    command = [Path(sys.executable).with_name("ruff"), "check", "--select", "D401", "--output-format", "json"]
    done = subprocess.run([*command, *PACKAGES], cwd=ROOT, capture_output=True, text=True, timeout=60)
    lines = [(Path(one["filename"]), one["message"].partition(': "')[2]) for one in json.loads(done.stdout)]
    return {f"{path.relative_to(ROOT)}:{text[:40]}" for path, text in lines}


def main() -> None:
    """Write down what stands now, and forget what is mended."""
    FOLDER.mkdir(exist_ok=True)
    standing = {rule.name: breaches(rule) - set(rule.reasons) for rule in RULES}
    for name, lines in {**standing, "moods": moods()}.items():
        file = FOLDER / f"{name}.txt"
        if lines:
            file.write_text("".join(f"{line}\n" for line in sorted(lines)))
        else:
            file.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
