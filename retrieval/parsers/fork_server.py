"""The process that parser children are forked from: `python -m retrieval.parsers.fork_server`, a socket as its stdin.

To start an interpreter and import the parsers takes 0.15 s of processor time per document, and a fork 3 ms. This
process reads no document itself: each child is as fresh as one that was just started, has a group and limits of its
own, and none of the descriptors here.
"""

import gc
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import msgspec

from retrieval.parsers.child import run
from retrieval.parsers.forked_children import DESCRIPTORS, LONGEST_MESSAGE, ChildExit, Kill, Start
from retrieval.parsers.formats import FORMATS, PLAIN_TEXT

__all__ = ["main"]

_LAST_DESCRIPTOR = 4096


def main() -> int:
    for format_ in (*FORMATS, PLAIN_TEXT):
        format_.load_parser()
    gc.freeze()  # what children share with this process stays shared
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, _ignore)  # what is ignored by default wakes nobody
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    with socket.socket(fileno=sys.stdin.fileno()) as channel:
        _serve(channel, wake)
    return 0


def _ignore(_number: int, _frame: FrameType | None) -> None:
    pass


def _serve(channel: socket.socket, wake: int) -> None:
    """Fork, kill and reap until the other end is closed."""
    children: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([channel, wake], [], [])
        if wake in ready:
            os.read(wake, LONGEST_MESSAGE)
            _reap(channel, children)
        if channel not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(channel, LONGEST_MESSAGE, DESCRIPTORS)
        if not message:
            return
        order: Start | Kill = msgspec.msgpack.decode(message, type=Start | Kill)
        if isinstance(order, Start):
            children[_fork(order, channel, descriptors)] = order.number
            continue
        for pid in [pid for pid, child in children.items() if child == order.number]:
            os.killpg(pid, signal.SIGKILL)  # not reaped yet, so the number is still its own


def _reap(channel: socket.socket, children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        channel.send(msgspec.msgpack.encode(ChildExit(children.pop(pid), os.waitstatus_to_exitcode(status))))


def _fork(start: Start, channel: socket.socket, descriptors: Sequence[int]) -> int:
    # A child must have its group before it can be told to be killed; both set it, since either may be first.
    ready, began = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)  # no session: where the processor is shared out among those, all documents have one share
        os.write(began, b"x")
        _parse(start, channel, descriptors)
    os.close(began)
    os.read(ready, 1)
    os.close(ready)
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def _parse(start: Start, channel: socket.socket, descriptors: Sequence[int]) -> None:
    """Become the child of one document, and end."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        channel.detach()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(DESCRIPTORS, _LAST_DESCRIPTOR)
        status = run(start.filename, start.limits)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
