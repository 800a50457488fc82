"""What each environment is made of, and the making."""

from dataclasses import dataclass
from pathlib import Path

from deploy.environments.environment import Environment, InstallFailed, digest_inputs
from deploy.environments.hardware import Hardware
from deploy.environments.installer import Installer, installers

__all__ = ["GATEWAY", "MODEL", "TORCH_CPU_INDEX", "Recipe", "fill", "make"]

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

_WHEELS = ("--require-hashes", "--only-binary", ":all:")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A folder for the environment, and the names of its lists in `deploy/locks`.

    Attributes:
        packages: Wheels from the usual index.
        torch: A wheel that may be on PyTorch's own index only.
    """

    folder: str
    packages: str
    torch: str | None = None

    def lists(self, root: Path) -> list[Path]:
        return [root / "deploy" / "locks" / name for name in (self.torch, self.packages) if name]


GATEWAY = Recipe(".venv", "gateway.txt")
MODEL = {
    Hardware.CPU: Recipe(".venv-model", "model-cpu.txt", torch="torch-cpu.txt"),
    Hardware.CUDA: Recipe(".venv-model", "model-cuda.txt"),
}


def make(root: Path, recipe: Recipe) -> None:
    """Make or complete an environment; does nothing when it is complete.

    Raises:
        SetupFailed: With the reason and what to do.
    """
    environment = Environment(root / recipe.folder)
    inputs = [*recipe.lists(root), root / "pyproject.toml", *Path(__file__).parent.glob("*.py")]
    stamp = digest_inputs(inputs, str(root))
    if environment.is_complete(stamp):
        return
    environment.prepare()
    for installer in installers(environment, root):
        try:
            fill(installer, recipe, root)
            break
        except InstallFailed as error:
            if installer.name == "pip" or error.is_mismatch:
                raise
            environment.say(f"{installer.name} failed, so pip does it (slower): {error.reason}")
    environment.complete(stamp)


def fill(installer: Installer, recipe: Recipe, root: Path) -> None:
    """Install what the lists have, and a link to Braid's own sources."""
    locks = root / "deploy" / "locks"
    packages = ["-r", str(locks / recipe.packages)]
    if recipe.torch:
        torch = ("-r", str(locks / recipe.torch))
        try:
            installer.install("installing torch's CPU build", *_WHEELS, *torch)
        except InstallFailed:
            installer.environment.say("it isn't where pip looks by itself")
            doing = "installing torch's CPU build from PyTorch's own index"
            installer.install(doing, *_WHEELS, "--index-url", TORCH_CPU_INDEX, *torch)
        packages += torch
    installer.install("installing all packages", *_WHEELS, *installer.complete, *packages)
    # The build backend is in the list: nothing unlocked is fetched for it.
    installer.install("linking Braid's own packages", "--no-build-isolation", "-e", str(root))
