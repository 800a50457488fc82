"""`.venv`: the gateway, its worker, the command line and the development tools."""

from pathlib import Path

from deploy.environments.environment import Environment, fingerprint

__all__ = ["make"]


def make(root: Path) -> None:
    """Make or complete the environment from the lock file; does nothing when it is complete."""
    lock = root / "requirements.lock"
    environment = Environment(root / ".venv")
    wanted = fingerprint([lock, root / "pyproject.toml", *Path(__file__).parent.glob("*.py")], str(root))
    if environment.is_complete(wanted):
        return
    environment.prepare()
    environment.pip(
        "install", "--require-hashes", "-r", str(lock), doing="installing the gateway and the development tools"
    )
    environment.pip("install", "--no-deps", "-e", str(root), doing="linking Braid's own packages")
    environment.complete(wanted)
