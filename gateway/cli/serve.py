"""`braid serve` and `braid worker`: one process each, for machines beyond the first."""

import asyncio
import signal

import uvloop

from gateway.cli.options import Home, Host, Port, settings_from
from gateway.composition import open_worker
from gateway.serve import serve as serve_gateway
from gateway.settings import Settings
from gateway.stack.first_key import prepare_database
from gateway.stack.instance import is_free
from gateway.stack.private_home import check_writable, keep_private
from gateway.terminal import CommandError, Exit, configure_logs, say

__all__ = ["run_worker", "serve", "worker"]


def serve(home: Home = None, host: Host = None, port: Port = None) -> None:
    """Run a gateway alone; engines, retriever and worker run elsewhere."""
    settings = settings_from(home=home, host=host, port=port)
    configure_logs(settings.log_level)
    keep_private(settings.home)
    check_writable(settings)
    if not is_free(settings.host, settings.port):
        raise CommandError(
            f"Something listens on {settings.host}:{settings.port} already. Choose another port with --port.",
            Exit.CONFLICT,
        )
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    if settings.admin_key is not None:
        await prepare_database(settings)
    say(f"Braid listens on http://{settings.host}:{settings.port}")
    await serve_gateway(settings)


def worker(home: Home = None) -> None:
    """Run a worker alone: it reads documents in and trains adapters."""
    settings = settings_from(home=home)
    configure_logs(settings.log_level)
    keep_private(settings.home)
    check_writable(settings)
    asyncio.run(run_worker(settings))


async def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    async with open_worker(settings, admin=True) as jobs_worker:
        jobs = asyncio.create_task(jobs_worker.run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, jobs_worker.stop)
        await jobs
