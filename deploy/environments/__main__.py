"""`python -m deploy.environments gateway|model|lock`, from the root of the repository."""

import sys
from pathlib import Path

from deploy.environments import hardware, lock, recipes
from deploy.environments.environment import SetupFailed

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Make what is named; returns the exit status (0 done, 1 failed, 2 usage)."""
    try:
        match arguments:
            case ["gateway"]:
                recipes.make(ROOT, recipes.GATEWAY)
            case ["model"]:
                recipes.make(ROOT, recipes.MODEL[hardware.detect()])
            case ["lock"]:
                lock.write(ROOT)
            case _:
                sys.stderr.write("usage: python -m deploy.environments gateway|model|lock\n")
                return 2
    except SetupFailed as error:
        sys.stderr.write(f"\nbraid: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
