"""Two ways to fill an environment from its lists: uv, and pip where uv can't be had or fails."""

import ast
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploy.environments.environment import Environment, InstallFailed

__all__ = ["TORCH_CPU_INDEX", "Installer", "Lists", "Pip", "Uv", "fill", "translate"]

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

_WHEELS = ("--require-hashes", "--only-binary", ":all:")
# Build backends are in the lists, so that nothing unlocked is fetched for them.
_BUILD = ("--no-deps", "--no-build-isolation")


@dataclass(frozen=True, slots=True)
class Lists:
    """Files of locked requirements."""

    uv: Path
    packages: Path
    """Wheels from the usual index."""
    torch: Path | None
    """Wheels that may be on PyTorch's own index only."""
    sources: Path | None
    """Pure Python that has no wheel; `packages` has what builds it."""

    @property
    def files(self) -> list[Path]:
        return [file for file in (self.uv, self.packages, self.torch, self.sources) if file]


class Installer(Protocol):
    """A program that installs wheels into one environment."""

    name: str

    def add(self, lists: Sequence[Path], index: str | None = None) -> None:
        """Install what is listed, from `index` or from where pip looks by itself."""
        ...

    def complete(self, lists: Sequence[Path]) -> None:
        """Install what is listed, and leave nothing else there."""
        ...

    def build(self, *what: str) -> None:
        """Install sources: options of pip and uv name them."""
        ...


class Pip:
    """The environment's own pip, under its own configuration."""

    name = "pip"

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def add(self, lists: Sequence[Path], index: str | None = None) -> None:
        where = ("--index-url", index) if index else ()
        self._pip("install", *_WHEELS, "--no-deps", "--no-compile", *where, *_requirements(lists))

    def complete(self, lists: Sequence[Path]) -> None:
        self.add(lists)

    def build(self, *what: str) -> None:
        self._pip("install", *_BUILD, *what)

    def _pip(self, *arguments: str) -> None:
        quiet = ("--progress-bar", "off", "--no-input")
        self._environment.run([str(self._environment.python), "-m", "pip", *arguments, *quiet])


class Uv:
    """uv, told what pip's configuration says: it doesn't read that by itself."""

    name = "uv"

    def __init__(self, program: Path, environment: Environment) -> None:
        self._program = program
        self._environment = environment
        listing = [str(environment.python), "-m", "pip", "config", "list"]
        settings = subprocess.run(listing, capture_output=True, text=True, check=False).stdout
        self._options, self._variables = translate(settings)

    def add(self, lists: Sequence[Path], index: str | None = None) -> None:
        where = ("--default-index", index) if index else self._options
        self._uv("install", *_WHEELS, "--no-deps", *where, *_requirements(lists))

    def complete(self, lists: Sequence[Path]) -> None:
        self._uv("sync", *_WHEELS, *self._options, *map(str, lists))

    def build(self, *what: str) -> None:
        self._uv("install", *_BUILD, *self._options, *what)

    def _uv(self, verb: str, *arguments: str) -> None:
        command = [str(self._program), "pip", verb, "--python", str(self._environment.python), *arguments]
        self._environment.run(command, self._variables)


def fill(environment: Environment, lists: Lists, root: Path) -> None:
    """Install the lists' packages and link Braid's own: by uv, else by pip.

    Raises:
        InstallFailed: With the end of the output.
    """
    uv = _find_uv(environment, lists, root)
    if uv:
        try:
            _fill(Uv(uv, environment), environment, lists, root)
        except InstallFailed as error:
            if error.is_mismatch:
                raise
            environment.say(f"uv failed, and pip takes over (slower): {error.last_line}")
        else:
            return
    # pip installs, but doesn't remove what an earlier list had.
    environment.create()
    _fill(Pip(environment), environment, lists, root)


def _fill(installer: Installer, environment: Environment, lists: Lists, root: Path) -> None:
    if lists.torch:
        with environment.doing(f"installing torch's CPU build with {installer.name}"):
            try:
                installer.add([lists.torch])
            except InstallFailed as error:
                environment.say(f"not from where pip looks by itself ({error.last_line}); asking {TORCH_CPU_INDEX}")
                installer.add([lists.torch], TORCH_CPU_INDEX)
    with environment.doing(f"installing {lists.packages.stem}'s packages with {installer.name}"):
        installer.complete([file for file in (lists.torch, lists.packages) if file])
    if lists.sources:
        installer.build("--require-hashes", *_requirements([lists.sources]))
    installer.build("-e", str(root))


def _find_uv(environment: Environment, lists: Lists, root: Path) -> Path | None:
    """Return the uv of the gateway's environment, or else install it here; None where its wheel can't be had."""
    ready = root / ".venv" / "bin" / "uv"
    if ready.exists():
        return ready
    try:
        Pip(environment).add([lists.uv])
    except InstallFailed as error:
        environment.say(f"uv can't be had, so pip does it all (slower): {error.last_line}")
        return None
    return environment.folder / "bin" / "uv"


def _requirements(lists: Sequence[Path]) -> list[str]:
    return [word for file in lists for word in ("-r", str(file))]


def translate(settings: str) -> tuple[list[str], dict[str, str]]:
    """Turn the output of `pip config list` into uv's options and environment variables.

    Lines are `section.name='value'`; a variable of the environment stands in the section `:env:` and wins.
    """
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for line in settings.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(f"{section}."):
                found[name.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    options = ["--index-strategy", "unsafe-best-match"]  # pip's own: every index counts, and the digests decide
    for name, option in (
        ("index-url", "--default-index"),
        ("extra-index-url", "--index"),
        ("find-links", "--find-links"),
        ("trusted-host", "--allow-insecure-host"),
    ):
        options += [word for value in found.get(name, "").split() for word in (option, value)]
    if found.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        options.append("--no-index")
    variables = {"cert": ["SSL_CERT_FILE"], "proxy": ["HTTPS_PROXY", "HTTP_PROXY"], "timeout": ["UV_HTTP_TIMEOUT"]}
    named = [(variable, found[name]) for name in variables for variable in variables[name] if name in found]
    return options, dict(named)
