"""Importing a module does nothing: no files, no sockets, no databases, no threads."""

import subprocess
import sys

from tests.architecture.source import ROOT

WATCHED = """
import sys, importlib, pkgutil, pathlib
import fastapi, sqlalchemy, uvicorn, typer, rich, httpx2  # what they do when imported is theirs

found = []
def hook(event, args):
    if event == "open" and isinstance(args[1], str) and any(c in args[1] for c in "wax+"):
        found.append(f"opens {args[0]} for writing")
    elif event in ("socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen", "_thread.start_new_thread"):
        found.append(event)

sys.dont_write_bytecode = True
sys.addaudithook(hook)
import gateway, prompts
for package in (gateway, prompts):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if ".migrations" in module.name or module.name.endswith("__main__"):
            continue
        before = len(found)
        importlib.import_module(module.name)
        if len(found) > before:
            print(module.name, found[before:])
"""


def test_importing_does_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", WATCHED], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
