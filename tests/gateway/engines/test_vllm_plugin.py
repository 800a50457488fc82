import os
import subprocess
from pathlib import Path

import pytest

from gateway.engines.local import PLUGIN

ROOT = Path(__file__).parents[3]


@pytest.mark.e2e
def test_the_plugin_computes_what_lora_is() -> None:
    script = Path(__file__).with_name("check_vllm_plugin.py")
    environment = os.environ | {"PYTHONPATH": str(PLUGIN)}
    done = subprocess.run([ROOT / ".venv-model/bin/python", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
