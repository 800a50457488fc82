"""uv, and pip where uv can't be had or fails: the same arguments for both."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deploy.environments.environment import Environment, InstallFailed

__all__ = ["Installer", "installers", "translate"]

_VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX",),
    "extra-index-url": ("UV_INDEX",),
    "find-links": ("UV_FIND_LINKS",),
    "no-index": ("UV_NO_INDEX",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "timeout": ("UV_HTTP_TIMEOUT",),
    "cert": ("SSL_CERT_FILE",),
    "proxy": ("HTTP_PROXY", "HTTPS_PROXY"),
}


@dataclass(frozen=True, slots=True)
class Installer:
    """A program with pip's arguments, for one environment."""

    environment: Environment
    name: str
    command: tuple[str, ...]
    complete: tuple[str, ...] = ()
    """Options that remove what isn't listed, and compile to bytecode at once, not at every start where the environment
    can't be written to or `PYTHONDONTWRITEBYTECODE` is set. pip doesn't do the one and always does the other."""
    variables: dict[str, str] = field(default_factory=dict[str, str])

    def install(self, doing: str, *arguments: str) -> None:
        """Install without dependencies: lists are complete.

        Raises:
            InstallFailed: With the end of the output.
        """
        command = [*self.command, "--no-deps", *arguments]
        self.environment.run(command, f"{doing} with {self.name}", self.variables)


def installers(environment: Environment, root: Path) -> Iterator[Installer]:
    """Yield uv, then pip in an environment made anew: it doesn't remove what an earlier list had."""
    command = (str(environment.python), "-m", "pip", "install", "--no-input", "--progress-bar", "off")
    pip = Installer(environment, "pip", command)
    uv = _find_uv(pip, root)
    if uv:
        command = (str(uv), "pip", "install", "--python", str(environment.python))
        variables = _read_settings(environment.python)
        yield Installer(environment, "uv", command, ("--exact", "--compile-bytecode"), variables)
    environment.create()
    yield pip


def _find_uv(pip: Installer, root: Path) -> Path | None:
    """Return the uv of the gateway's environment, or else install it here; None where its wheel can't be had."""
    ready = root / ".venv" / "bin" / "uv"
    if ready.exists():
        return ready
    wheel = ("--require-hashes", "--only-binary", ":all:", "-r", str(root / "deploy" / "locks" / "uv.txt"))
    try:
        pip.install("installing uv", *wheel)
    except InstallFailed as error:
        if error.is_mismatch:
            raise
        pip.environment.say(f"uv can't be had, so pip does it all (slower): {error.reason}")
        return None
    return pip.environment.python.with_name("uv")


def _read_settings(python: Path) -> dict[str, str]:
    answer = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    return translate(answer.stdout)


def translate(settings: str) -> dict[str, str]:
    """Turn the output of `pip config list` into uv's variables: uv doesn't read pip's configuration by itself.

    Lines are `section.name='value'`; a variable of the environment stands in the section `:env:` and wins.
    """
    variables = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # as pip does: every index counts; the digests decide
    for section in ("global", "install", ":env:"):
        for line in settings.splitlines():
            key, _, value = line.partition("=")
            names = _VARIABLES.get(key.removeprefix(f"{section}."), ())
            variables |= {name: " ".join(str(ast.literal_eval(value)).split()) for name in names}
    return variables
