"""The cases of people who serve models, adapters and documents, each of which some test stands for."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
CASES = set(
    """
    chat-usage-null-chunks chat-content-forms chat-max-completion-tokens chat-stop-never-leaks
    chat-refused-before-the-stream doc-legacy-encodings doc-long-line doc-same-bytes-odd-names
    file-delete-leaves-stores doc-filters doc-pdf-and-ligatures ft-jsonl-odd-bytes ft-valid-shapes ft-job-nulls
    adapter-config-unserved adapter-weight-names adapter-same-name-new-weights gw-model-ids-in-paths gw-head
    gw-cors-preflight gw-compressed-and-chunked gw-client-gone gw-tenants-apart gw-concurrent-writes
    """.split()
)


def test_every_case_has_its_tests_and_every_marker_is_of_a_case() -> None:
    sources = [path.read_text() for path in TESTS.rglob("test_*.py") if path != Path(__file__)]
    marked = {id for source in sources for id in re.findall(r'@pytest\.mark\.case\("([^"]*)"\)', source)}
    assert marked == CASES
    assert len(CASES) == 24
