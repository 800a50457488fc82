"""What each environment is made of, and the making."""

from dataclasses import dataclass
from pathlib import Path

from deploy.environments.environment import Environment, fingerprint
from deploy.environments.hardware import Hardware
from deploy.environments.installers import Lists, fill

__all__ = ["GATEWAY", "LOCKS", "MODEL", "Recipe", "make"]

LOCKS = Path("deploy/locks")
"""Folder of the lists, in the repository."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A folder for the environment, and the names of its lists."""

    folder: str
    packages: str
    torch: str | None = None
    sources: str | None = None


GATEWAY = Recipe(".venv", "gateway.txt", sources="gateway-sources.txt")
MODEL = {
    Hardware.CPU: Recipe(".venv-model", "model-cpu.txt", torch="torch-cpu.txt"),
    Hardware.CUDA: Recipe(".venv-model", "model-cuda.txt"),
}


def make(root: Path, recipe: Recipe) -> None:
    """Make or complete an environment; does nothing when it is complete."""
    locks = root / LOCKS
    lists = Lists(
        uv=locks / "uv.txt",
        packages=locks / recipe.packages,
        torch=locks / recipe.torch if recipe.torch else None,
        sources=locks / recipe.sources if recipe.sources else None,
    )
    environment = Environment(root / recipe.folder)
    wanted = fingerprint([*lists.files, root / "pyproject.toml", *Path(__file__).parent.glob("*.py")], str(root))
    if environment.is_complete(wanted):
        return
    environment.prepare()
    fill(environment, lists, root)
    environment.complete(wanted)
