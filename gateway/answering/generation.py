"""One answer while it is made, and the one owner of all that has to be given back when it ends."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from gateway.answering.engine_answer import BrokenAnswer, EngineAnswer, EventReader, decode_answer
from gateway.answering.source_check import SourceCheck
from gateway.answering.trace import AnswerTrace
from gateway.answers.log import AnswerLog
from gateway.engines import EngineError, EngineRefused, Lease, Stream
from gateway.engines.refusal import cut_excerpt
from gateway.errors import BraidError
from gateway.interruption import Interruption
from gateway.metrics import Metrics
from gateway.shutdown import Drain, explain_cut

__all__ = ["Generation"]

_ERROR_EVENT = b'data: {"error"'


class Generation:
    """Owns an answer's place among the running ones, its replica's lease and the engine's stream.

    `AnsweringService.begin` makes and prepares it. A face enters it as an async context manager and reads it once,
    whole with `read` or event by event by iterating. Leaving the block closes it: all is given back and the trace is
    settled, exactly once, however far the answer got and whatever ended it.

    Raises:
        Unavailable: The process is stopping.
    """

    def __init__(
        self, trace: AnswerTrace, drain: Drain, metrics: Metrics, answers: AnswerLog, sources: SourceCheck
    ) -> None:
        drain.admit(self.stop)
        self.trace = trace
        self.preparing = Interruption(explain_cut)
        """Spans everything before the first byte, so that `stop` can end it."""
        self._drain = drain
        self._metrics = metrics
        self._answers = answers
        self._sources = sources
        self._lease: Lease | None = None
        self._upstream: Stream | None = None
        self._reader = EventReader()
        self._begun = False
        self._whole = False
        self._closed = False

    async def connect(self, lease: Lease) -> None:
        """Send the composed body to the lease's replica, and wait for the first bytes: a head says nothing.

        Raises:
            EngineError: The replica refused or failed before its first byte. `disconnect` before trying another.
        """
        self._lease = lease
        self.trace.replica = lease.replica.name
        with lease.replica.make_wait(stream=self.trace.question.stream):
            self._upstream = upstream = await lease.engine.chat(self.trace.prompt.body)
            first = await upstream.start()
            # An answer that never began: nobody has seen anything of it.
            if not first or first.startswith(_ERROR_EVENT) or not _is_answer(upstream, self.trace.question.stream):
                raise EngineRefused(upstream.status, cut_excerpt(first), "no answer")
        self.trace.mark_first_byte()
        self._begun = True

    async def disconnect(self) -> None:
        """Cut the stream unless its end has come in, and give the lease back."""
        upstream, lease = self._upstream, self._lease
        self._upstream = self._lease = None
        try:
            if upstream is not None:
                await upstream.aclose()
        finally:
            if lease is not None:
                lease.release()

    async def read(self) -> EngineAnswer:
        """Read the whole answer.

        Raises:
            BrokenAnswer: It can't be read.
            EngineError: The connection broke.
            Unavailable: The process stopped in between.
        """
        assert self._upstream is not None
        try:
            answer = decode_answer(await self._upstream.read(), self.trace.question.parameters.get("n") or 1)
        except BraidError:
            self._drain.check_expired()
            raise
        self.trace.usage = answer.usage and answer.usage.to_token_usage()
        self._whole = True
        if self.trace.may_cite(choice.message.content or "" for choice in answer.choices if choice.message):
            await self._sources.check(self.trace)
        return answer

    async def check_sources(self) -> None:
        """Look once more at the documents of an answer that breaks off, before a face tells what it cites so far."""
        if self.trace.used_passages:
            await self._sources.check(self.trace)

    def pass_on(self, take: Callable[[bytes], bool]) -> None:
        """Give events to `take` as they come in, so that whoever iterates isn't woken for each.

        It gets the data of one event, has to be quick and must not raise; iterating goes on with what it returns False
        for. Nothing comes to it out of turn: while somebody has events left to handle, more are kept for them.
        """
        reader, trace = self._reader, self.trace

        def listen(part: bytes) -> bool:
            data = reader.read_single(part)
            if not data or not take(data):
                return False
            trace.note_events((data,))
            return True

        assert self._upstream is not None
        self._upstream.listener = listen

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[bytes]:
        """Return the data of the next events, one or more; the end comes only after the engine's `[DONE]`.

        The face decodes the events that are more than a piece of text with `decode_event`, and notes the usage that
        one of them carries in the trace.

        Raises:
            BrokenAnswer: The stream was cut, or an event is too long.
            EngineError: The connection broke.
            Unavailable: The process stopped in between.
        """
        assert self._upstream is not None
        try:
            while True:
                events = self._reader.feed(await self._upstream.__anext__())
                if events:
                    self.trace.note_events(events)
                    if self.trace.may_cite_at_end(events):
                        await self._sources.check(self.trace)
                    return events
        except StopAsyncIteration:
            if not self._reader.is_whole:
                raise BrokenAnswer("The model server's stream ended before the answer did. Try again.") from None
            self._whole = True
            raise
        except EngineError:
            self._drain.check_expired()
            raise

    async def stop(self) -> None:
        """End the answer now, because the process's grace time is over."""
        if self._closed:
            return  # it failed between the moment in which the grace time ended and this one
        if not self._begun:
            self.preparing.interrupt()
        elif self._upstream is not None:
            await self._upstream.aclose()

    async def aclose(self, error: BaseException | None = None) -> None:
        """Give everything back and settle the trace; `error` is what ended the answer early. Later calls do nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self.disconnect()
        finally:
            self._drain.dismiss(self.stop)
            self._settle(error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose(error)

    def _settle(self, error: BaseException | None) -> None:
        """Count the answer and put its record in the log.

        One that failed before its first byte is only counted, and so is one whose client left before it was known what
        would answer: its model is whatever that client wrote.
        """
        if isinstance(error, Exception) and not self._begun:
            self._metrics.count_answer((isinstance(error, BraidError) and error.code) or "error")
            return
        if not self.trace.target.engine_model:
            self._metrics.count_answer("abandoned")
            return
        if isinstance(error, Exception):
            outcome = "interrupted"
        else:
            outcome = "completed" if error is None and self._whole else "abandoned"
        trace, now = self.trace, time.perf_counter()
        record = trace.record(outcome, now)
        self._metrics.count_answer(outcome)
        self._metrics.seconds.add(now - trace.started_at)
        if trace.retrieved_at is not None:
            self._metrics.retrieval.add(trace.retrieved_at - trace.started_at)
        if trace.first_byte_at is not None:
            self._metrics.first_byte.add(trace.first_byte_at - trace.started_at)
        if record.usage is not None:
            self._metrics.prompt_tokens.add(record.usage.get("prompt_tokens", 0))
            self._metrics.completion_tokens.add(record.usage.get("completion_tokens", 0))
        self._answers.put(trace.tenant, record, trace.list_uncounted_segments(), trace.find_uncounted_answer())


def _is_answer(answer: Stream, stream: bool) -> bool:
    """Tell whether an engine answered, and not what stands before it with a page."""
    kind = "text/event-stream" if stream else "application/json"
    return answer.headers.get("content-type", "").lower().startswith(kind)
