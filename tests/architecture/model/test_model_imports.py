"""Importing retrieval and training does nothing in the environment that has all that they need."""

import pytest

from tests.architecture.importing import Imports

# torch and transformers take a while to import where the machine is busy.
pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

DEPENDENCIES = ("torch", "transformers", "peft", "sentence_transformers", "qdrant_client", "qdrant_edge", "lxml.html")


def test_importing_the_strands_does_nothing() -> None:
    imports = Imports(["retrieval", "training"], [*DEPENDENCIES, "pypdfium2", "puremagic", "safetensors"])
    assert imports.deeds == {}
    assert imports.missing == {}
    assert imports.imported > 40
