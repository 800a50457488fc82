"""Gate, diagnosis and advisor on real models: `python -m tests.bench.proofs --home FOLDER [--only gate]`.

Small adapters are really trained on the packaged base, one as it should be and one with each fault; `braid up` serves
them by vLLM, with the packaged embedder. What was trained is kept in the folder, and Braid is left running there, so
that a run that was interrupted goes on. Hours on two cores where other work goes on beside it.
"""

import argparse
import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from gateway.stack.instance import Instance
from tests.bench.proofs import advice, diagnosis, gate, shop
from tests.bench.proofs.adapters import train_adapter
from tests.bench.proofs.stack import Tenant, open_services, tell

__all__ = ["main"]

PARTS = ("gate", "diagnosis", "advice")


async def prove(home: Path, parts: list[str], only: Callable[[str], bool]) -> None:
    async with open_services(home) as services, Tenant.open(services, "shop") as tenant:
        prompt = await tenant.write_prompt("desk", shop.TEMPLATE)
        kinds = [kind for kind in gate.GATES if only(kind)] if "gate" in parts else []
        faults = [one for one in diagnosis.FAULTS if only(one.name)] if "diagnosis" in parts else []
        kinds += ["house", *(one.adapter for one in faults)] if faults else []
        adapters = {kind: await train_adapter(tenant, kind, prompt) for kind in dict.fromkeys(kinds)}
        if "gate" in parts:
            store = await tenant.make_store("handbook", shop.documents())
            gates = [
                await gate.run_gate(tenant, kind, adapters[kind], store, prompt) for kind in gate.GATES if only(kind)
            ]
            print(gate.describe(gates), flush=True)
        if faults:
            told = [await diagnosis.run_diagnosis(tenant, one, adapters) for one in faults]
            print(diagnosis.describe(told), flush=True)
        if "advice" in parts:
            reports: list[advice.AdviceFigures] = []
            for kind in advice.ADVICE:
                if only(kind):
                    async with Tenant.open(services, kind) as other:
                        reports.append(await advice.run_advice(other, kind))
            print(advice.describe(reports), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.proofs", description="Prove gate, diagnosis, advisor.")
    parser.add_argument("--home", type=Path, required=True, help="Braid's home, kept between runs")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; several times for several")
    parser.add_argument("--cases", nargs="+", default=[], help="only these adapters, faults or tenants")
    parser.add_argument("--stop", action="store_true", help="stop Braid in the end")
    options = parser.parse_args()
    asyncio.run(prove(options.home, options.only or list(PARTS), lambda name: name in (options.cases or [name])))
    running = Instance.find_process(options.home.resolve()) if options.stop else None
    if running is not None:
        tell(f"stopping process {running}")
        os.kill(running, signal.SIGTERM)


if __name__ == "__main__":
    main()
