"""Imports every module of some packages in a fresh interpreter, and tells what that did beside defining names."""

import json
import subprocess
import sys
from collections.abc import Sequence

from tests.architecture.source import ROOT

# What dependencies do when they are imported is theirs, so those come first.
_PROGRAM = """
import importlib, json, pkgutil, sys
packages, dependencies = json.loads(sys.argv[1])
for name in dependencies:
    importlib.import_module(name)

deeds, doing = {}, []
def hook(event, args):
    if event == "open" and isinstance(args[1], str) and any(c in args[1] for c in "wax+"):
        doing.append(f"opens {args[0]} for writing")
    elif event in ("socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen", "_thread.start_new_thread"):
        doing.append(event)

sys.dont_write_bytecode = True
sys.addaudithook(hook)
imported, missing = 0, {}
for package in map(importlib.import_module, packages):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if ".migrations." in module.name or module.name.endswith("__main__"):
            continue
        doing.clear()
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            missing[module.name] = error.name
        else:
            imported += 1
        if doing:
            deeds[module.name] = list(doing)
print(json.dumps({"imported": imported, "missing": missing, "deeds": deeds}))
"""


class Imports:
    """What importing did: how many modules, which lack a dependency, and which do more than to define names."""

    def __init__(self, packages: Sequence[str], dependencies: Sequence[str]) -> None:
        command = [sys.executable, "-W", "ignore", "-c", _PROGRAM, json.dumps([packages, dependencies])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        self.imported: int = told["imported"]
        self.missing: dict[str, str] = told["missing"]
        self.deeds: dict[str, list[str]] = told["deeds"]
