"""Seconds of rendering hold no connection to the database: fifteen of them would keep everybody else waiting."""

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy.pool import QueuePool

from gateway.fine_tuning import dataset
from tests.fakes.trainer import rows
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import ask, settings, upload
from tests.waiting import until

__all__ = ["settings"]


async def test_no_connection_is_held_while_rows_are_rendered(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = gateway.state.database.engine.pool
    assert isinstance(pool, QueuePool)
    rendering, go_on = threading.Event(), threading.Event()
    render = dataset.render_rows

    def wait_and_render(*arguments: Any) -> Any:
        rendering.set()
        assert go_on.wait(30)
        return render(*arguments)

    client = await gateway.tenant("kestrel")
    file = await upload(client, rows(50))
    monkeypatch.setattr(dataset, "render_rows", wait_and_render)
    asked = asyncio.create_task(ask(client, training_file=file))
    try:
        await until(rendering.is_set)
        await until(lambda: pool.checkedout() == 0)  # the reconciler reads every second
        before = pool.checkedout()
        assert (await client.get("/v1/files")).status_code == 200
    finally:
        go_on.set()
    assert before == 0
    assert (await asked).status_code == 200


async def test_no_connection_is_held_while_an_upload_is_checked(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = gateway.state.database.engine.pool
    assert isinstance(pool, QueuePool)
    checking, go_on = threading.Event(), threading.Event()

    def wait(*_arguments: Any) -> None:
        checking.set()
        assert go_on.wait(30)

    client = await gateway.tenant("kestrel")
    monkeypatch.setattr("gateway.files.upload.check_training_file", wait)
    uploading = asyncio.create_task(upload(client, rows(50)))
    try:
        await until(checking.is_set)
        await until(lambda: pool.checkedout() == 0)
    finally:
        go_on.set()
    assert await uploading
