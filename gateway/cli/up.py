"""`braid up`: all processes on this machine, supervised until they are told to stop."""

import asyncio
import signal
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from gateway.cli.options import Home, Host, Port, settings_from
from gateway.client import Profile
from gateway.engines import Connections
from gateway.engines.hardware import Hardware
from gateway.settings import Settings
from gateway.stack.base_model import prepare_base_model
from gateway.stack.children import make_children, make_retriever
from gateway.stack.first_key import make_first_key, prepare_database
from gateway.stack.instance import Instance, explain_socket_path, is_free
from gateway.stack.private_home import check_writable, keep_private
from gateway.stack.readiness import wait_until_ready, watch
from gateway.stack.second_retriever import SecondRetriever
from gateway.task_group import await_each
from gateway.terminal import CommandError, Exit, configure_logs, open_console, say

__all__ = ["run_until_stopped", "up"]


def up(home: Home = None, host: Host = None, port: Port = None) -> None:
    """Start Braid on this machine and keep it running; Ctrl-C or SIGTERM stops it."""
    settings = settings_from(home=home, host=host, port=port)
    configure_logs(settings.log_level, quiet=True)
    asyncio.run(run_until_stopped(settings))


async def run_until_stopped(settings: Settings) -> None:
    """Run all processes until SIGTERM or SIGINT.

    Raises:
        CommandError: Another Braid uses the home folder or the port, or a part doesn't start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    keep_private(settings.home)
    check_writable(settings)
    with Instance.only(settings.home):
        _check_home_and_ports(settings)
        running = asyncio.create_task(_run(settings))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            say("stopping: answers that are being written may finish")
            running.cancel()
        (outcome,) = await asyncio.gather(running, return_exceptions=True)
        stopping.cancel()
    if isinstance(outcome, Exception):
        raise outcome
    say("stopped")


def _check_home_and_ports(settings: Settings) -> None:
    problem = explain_socket_path(settings.home)
    if problem is not None:
        raise CommandError(f"{problem} Choose a shorter home folder with --home or BRAID_HOME.", Exit.USAGE)
    ports = [settings.port] if settings.engine_urls else [settings.port, settings.port + 1]
    for port in ports:
        if not is_free(settings.host, port):
            raise CommandError(
                f"Port {port} of {settings.host} is in use. Choose another with --port (the engine takes the one after "
                "it), or stop what listens there.",
                Exit.CONFLICT,
            )


async def _run(settings: Settings) -> None:
    hardware = Hardware.detect()
    dtype = "bfloat16" if hardware.cuda or hardware.computes_bfloat16 else "float32"
    await prepare_database(settings)
    async with AsyncExitStack() as stack:
        connections = await stack.enter_async_context(Connections())
        # The retriever loads while the base model is prepared, which takes one core of two.
        children = [await stack.enter_async_context(make_retriever(settings))]
        second = SecondRetriever(settings, say)
        stack.push_async_callback(second.stop)
        second_child = await second.settle()
        base = await prepare_base_model(settings, dtype, say)
        first = len(children)
        children += make_children(settings, base, hardware, connections)
        say(f"starting {', '.join(child.name for child in children)}; logs are in {settings.home / 'logs'}")
        for child in children[first:]:
            await stack.enter_async_context(child)
        await wait_until_ready(children if second_child is None else [*children, second_child], say)
        _announce(settings, *await make_first_key(settings), base.name)
        await await_each(lambda part: part(), (partial(watch, children, say), second.run))


def _announce(settings: Settings, profile: Profile, has_new_key: bool, model: str) -> None:
    console = open_console()

    def line(text: str, **options: Any) -> None:
        console.print(text, markup=False, **options)

    line("")
    line(f"Braid is ready at {profile.url}", style="bold green")
    if has_new_key:
        line(f"Admin key, shown this once: {profile.key}")
        line(f"('braid' commands on this machine find it in {Profile.locate_file(settings.home)})")
    elif profile.key is None:
        line("The admin key was shown when it was made, and isn't kept here. Lost? Set BRAID_ADMIN_KEY to a new one.")
    line("Try it:")
    line(
        f"  curl {profile.url}/v1/chat/completions -H 'content-type: application/json' "
        f"-H 'authorization: Bearer {profile.key if has_new_key else 'YOUR_KEY'}' "
        f'-d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}\''
    )
    line("Ctrl-C stops it.")
