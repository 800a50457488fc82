"""Branch coverage of the four packages, as a pytest plugin: `-p tests.branch_coverage`.

SlipCover puts a counter before each line and branch of ours when a module is imported. The tracer that others need
before Python 3.12 is called for each line of SQLAlchemy and Pydantic, too, and took as long as all tests together.
Each process of a run leaves `.coverage.PID.json` in the project's root, and `python -m slipcover --merge` adds them up.
"""

import ast
import json
import os
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

from slipcover import Slipcover
from slipcover import branch as branches

__all__ = ["pytest_sessionfinish"]

ROOT = Path(__file__).parents[1]
PACKAGES = tuple(f"{ROOT / name}/" for name in ("gateway", "prompts", "retrieval", "training"))
LEFT_OUT = ["if TYPE_CHECKING:", "raise NotImplementedError", r"^    \.\.\.$", "if __name__ == .__main__.:"]

# Without `immediate` functions get other code while they run, from which their counters were taken out.
_counters = Slipcover(branch=True, immediate=True, source=list(PACKAGES), exclude_also=LEFT_OUT)
_get_code = SourceFileLoader.get_code


def _get_counting_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
    file = str(self.get_filename(fullname))
    if not file.startswith(PACKAGES):
        return _get_code(self, fullname)
    # Compiled anew, because what counts doesn't belong into the cache of compiled modules.
    tree = branches.preinstrument(ast.parse(self.get_data(file)))
    return _counters.instrument(compile(tree, file, "exec", dont_inherit=True))


SourceFileLoader.get_code = _get_counting_code


def pytest_sessionfinish() -> None:
    """Write what was counted."""
    (ROOT / f".coverage.{os.getpid()}.json").write_text(json.dumps(_counters.get_coverage()))
