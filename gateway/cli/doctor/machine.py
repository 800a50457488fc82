"""The machine: Python, cores, memory, disk, the home folder, ports."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from gateway.cli.doctor.finding import CheckResult
from gateway.settings import Settings
from gateway.stack import private_home
from gateway.stack.instance import Instance, explain_socket_path, is_free

__all__ = ["check_cores", "check_disk", "check_home", "check_memory", "check_ports", "check_python", "is_open"]

_GIB = 1024**3
# The packaged model, measured: engine 4 GB, training 7 GB, retriever and gateway under 1 GB each.
_MEMORY_LEAST, _MEMORY_WANTED, _MEMORY_OF_TRAINING = 7, 14, 7
_DISK_LEAST, _DISK_WANTED = 2, 10


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> CheckResult:
    number = ".".join(map(str, version))
    if version < (3, 11):
        fix = "Install Python 3.11 or later and run: make PYTHON=/path/to/it env"
        return CheckResult.broken("python", f"Python {number} is too old: 3.11 is needed.", fix)
    return CheckResult.ok("python", f"Python {number}")


def check_cores(cores: int | None = None) -> CheckResult:
    cores = cores or len(os.sched_getaffinity(0))
    if cores < 2:
        return CheckResult.warning(
            "cores",
            "This process may use one core only: answers will wait while documents are read or adapters trained.",
            "Give it two or more, or run the engine elsewhere (BRAID_ENGINE_URLS).",
        )
    return CheckResult.ok("cores", f"{cores} cores")


def check_memory(meminfo: Path = Path("/proc/meminfo"), *, running: bool = False) -> CheckResult:
    """Compare with what Braid will take, or with what a training will where this home's own Braid is `running`."""
    rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    free = int(rows["MemAvailable"].split()[0]) * 1024 / _GIB
    message = f"{free:.1f} GiB of memory are available"
    fix = "Stop other programs, or run the engine elsewhere (BRAID_ENGINE_URLS)."
    if running:
        message += " beside this home's own Braid"
        if free < _MEMORY_OF_TRAINING:
            message += f"; a training that begins now wants {_MEMORY_OF_TRAINING}."
            return CheckResult.warning("memory", message, fix)
        return CheckResult.ok("memory", message)
    if free < _MEMORY_LEAST:
        return CheckResult.broken("memory", f"{message}; engine and retriever need {_MEMORY_LEAST}.", fix)
    if free < _MEMORY_WANTED:
        return CheckResult.warning("memory", f"{message}; training while serving wants {_MEMORY_WANTED}.", fix)
    return CheckResult.ok("memory", message)


def check_disk(home: Path) -> CheckResult:
    folder = _existing(home)
    free = shutil.disk_usage(folder).free / _GIB
    message = f"{free:.0f} GiB are free at {folder}"
    fix = "Free some space, or choose another place with --home or BRAID_HOME."
    if free < _DISK_LEAST:
        return CheckResult.broken("disk", f"{message}; {_DISK_LEAST} are needed.", fix)
    if free < _DISK_WANTED:
        return CheckResult.warning("disk", f"{message}; adapters and documents will fill that soon.", fix)
    return CheckResult.ok("disk", message)


def check_home(home: Path) -> CheckResult:
    fix = "Choose another folder with --home or BRAID_HOME, or change its owner."
    problem = explain_socket_path(home)
    if problem is not None:
        return CheckResult.broken("home", problem, "Choose a shorter path with --home or BRAID_HOME.")
    try:
        with tempfile.NamedTemporaryFile(dir=_existing(home)):
            pass
    except OSError as error:
        return CheckResult.broken("home", f"{home.resolve()} can't be written: {error.strerror}.", fix)
    return CheckResult.ok("home", f"{home.resolve()} can be written")


def _existing(home: Path) -> Path:
    """Return the home folder, or what there is of the way to it: a check leaves nothing behind."""
    folder = home.resolve()
    while not os.path.exists(folder):  # Path.exists raises where another user's folder is on the way
        folder = folder.parent
    return folder


def is_open(home: Path) -> bool:
    """Tell whether the home folder can be looked into, or made where there is none yet."""
    folder = _existing(home)
    is_there = folder == home.resolve()
    return os.access(folder, os.R_OK | os.X_OK) and (private_home.is_open(folder) if is_there else folder.is_dir())


def check_ports(settings: Settings) -> CheckResult:
    running = Instance.find_process(settings.home)
    if running is not None:
        return CheckResult.ok("ports", f"in use by this home's own Braid (process {running})")
    ports = [settings.port] if settings.engine_urls else [settings.port, settings.port + 1]
    busy = [port for port in ports if not is_free(settings.host, port)]
    if busy:
        return CheckResult.broken(
            "ports",
            f"Something else listens on port {' and '.join(map(str, busy))} of {settings.host}.",
            "Stop it, or choose another port with --port or BRAID_PORT (the engine takes the next one).",
        )
    admin = [settings.gateway_admin_port, settings.worker_admin_port]
    busy = [port for port in admin if not is_free(settings.admin_host, port)]
    if busy:
        return CheckResult.warning(
            "ports",
            f"Port {' and '.join(map(str, busy))} of {settings.admin_host} is in use or can't be had: there will be no "
            "metrics of gateway or worker.",
            "Stop what listens there, or choose another with BRAID_ADMIN_PORT (the worker takes the next one).",
        )
    return CheckResult.ok("ports", f"{', '.join(map(str, [*ports, *admin]))} are free")
