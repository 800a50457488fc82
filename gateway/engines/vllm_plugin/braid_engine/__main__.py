"""Runs vLLM's server, whose processes are forked from one that has imported vLLM while the server did so.

    python -m braid_engine OPTIONS-OF-VLLM'S-SERVER

On the CPU vLLM starts its engine and then its worker as new interpreters, which import all of vLLM and torch one after
the other: two thirds of the time until it answers. It doesn't fork, since a process that has used OpenMP can't go on in
a child. The one that is forked here has imported modules and computed nothing.
"""

# pyright: basic, reportMissingImports=false
# This runs in the engine's environment; the gateway's has neither torch nor vLLM.

import importlib
import multiprocessing
import runpy
from multiprocessing import forkserver

_SERVER = "vllm.entrypoints.openai.api_server"
_IMPORTED = (
    _SERVER,
    "vllm.v1.engine.core",
    "vllm.v1.executor.multiproc_executor",
    "vllm.v1.worker.cpu_model_runner",
    "vllm.v1.worker.cpu_worker",
)


def main() -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_IMPORTED])
    forkserver.ensure_running()
    # Where vLLM asks for its way to start processes, which its modules take from here when they are imported.
    vars(importlib.import_module("vllm.utils.system_utils"))["get_mp_context"] = lambda: context
    runpy.run_module(_SERVER, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
