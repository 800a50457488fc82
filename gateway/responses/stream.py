"""A streamed response: the engine's events made into the named events of OpenAI's Responses."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from gateway.answering.answer_text import AnswerText
from gateway.answering.engine_answer import NO_ARGUMENTS, NO_END, BrokenAnswer, decode_event
from gateway.errors import BraidError
from gateway.ids import new_id
from gateway.responses.output import ResponseBuilder, cite, to_call
from gateway.responses.schemas import (
    FunctionCall,
    OutputItem,
    OutputMessage,
    OutputText,
    ReasoningItem,
    ReasoningText,
    Refusal,
    Response,
)

__all__ = ["ResponseEvents"]


class ResponseEvents:
    """Makes one response's events; `broken` is the reason once the engine sent one that can't be passed on.

    Thoughts and messages are closed by the item that comes next, or by the end; calls of functions by the end alone,
    since engines may write the arguments of several in turns.
    """

    def __init__(self, builder: ResponseBuilder) -> None:
        self.broken: BrokenAnswer | None = None
        self._builder = builder
        self._trace = builder.trace
        self._sequence = 0
        self._output: list[OutputItem] = []
        self._open = False  # the last item, if it is thoughts or a message
        self._calls: dict[object, int] = {}  # the places of calls by the engine's number
        self._newest_calls: set[int] = set()  # the places of calls that were written to since the last item began
        self._text: AnswerText | None = None  # of the message or the thoughts that are open
        self._finish: str | None = None
        self._events: list[bytes] = []

    def begin(self) -> bytes:
        """Return the events before the first word, those of a search among them."""
        response = self._builder.build([], None)
        self._emit("response.created", response=response)
        self._emit("response.in_progress", response=response)
        for item in self._builder.build_search():
            place = {"output_index": len(self._output), "item_id": item.id}
            search = msgspec.structs.replace(item, status="in_progress", results=None)
            self._emit("response.output_item.added", output_index=len(self._output), item=search)
            for name in ("in_progress", "searching", "completed"):
                self._emit(f"response.file_search_call.{name}", **place)
            self._emit("response.output_item.done", output_index=len(self._output), item=item)
            self._output.append(item)
        return self._take()

    def encode(self, events: Sequence[bytes]) -> bytes:
        """Return what the client gets for the data of some of the engine's events; maybe nothing yet."""
        for data in events:
            try:
                event = decode_event(data)
            except BrokenAnswer as error:  # what came before it is still the client's
                self.broken = error
                break
            if event.usage is not None:
                self._trace.usage = event.usage.to_token_usage()
            for choice in event.choices:
                self._follow(choice)
        return self._take()

    def finish(self) -> bytes:
        """Return the events that close the response.

        Raises:
            BrokenAnswer: The engine never said that the answer has ended.
        """
        if self._finish is None:
            raise BrokenAnswer(NO_END)
        if not any(isinstance(item, OutputMessage | FunctionCall) for item in self._output):
            self._open_message(_empty_text())  # even an empty answer is one
        response = self._close_all(self._finish, None)
        self._emit(f"response.{response.status}", response=response)
        return self._take()

    def fail(self, error: BraidError) -> bytes:
        """Return the events of a response that ends by an error."""
        response = self._close_all("failed", error)
        self._emit("response.failed", response=response)
        return self._take()

    def _close_all(self, finish: str, error: BraidError | None) -> Response:
        status = "completed" if self._builder.build([], finish, error).status == "completed" else "incomplete"
        for place in self._calls.values():
            self._close(place, status if place in self._newest_calls else "completed")
        if self._open:
            self._close(self._last, status)
        return self._builder.build(self._output, finish, error)

    def _follow(self, choice: dict[str, Any]) -> None:
        delta: dict[str, Any] = choice.get("delta") or {}
        if thought := delta.get("reasoning"):
            self._add_thought(thought)
        if text := delta.get("content"):
            self._add_text(text, _member(choice, "logprobs", "content") or [])
        if refusal := delta.get("refusal"):
            self._add_refusal(refusal)
        for call in delta.get("tool_calls") or ():
            self._add_arguments(call)
        self._finish = choice.get("finish_reason") or self._finish

    def _add_thought(self, text: str) -> None:
        item = self._current(ReasoningItem)
        if item is None:
            item = ReasoningItem(id=new_id("rs_"), status="in_progress", summary=[], content=[ReasoningText(text="")])
            self._start(item)
            self._text = self._trace.make_thought_text()
        self._send_thought(item.content[0], text if self._text is None else self._text.feed(text))

    def _send_thought(self, part: ReasoningText, text: str) -> None:
        if text:
            part.text += text
            self._emit("response.reasoning_text.delta", **self._name_place(self._last), content_index=0, delta=text)

    def _add_text(self, text: str, logprobs: list[dict[str, Any]]) -> None:
        item = self._current(OutputMessage)
        part = item.content[0] if item is not None else None
        if not isinstance(part, OutputText):
            part = self._open_message(_empty_text())
            self._text = self._trace.make_answer_text()
        assert isinstance(part, OutputText)
        if self._text is not None:
            text = self._text.feed(text)
        self._send_text(part, text, logprobs)

    def _send_text(self, part: OutputText, text: str, logprobs: list[dict[str, Any]]) -> None:
        part.logprobs += logprobs
        if text:
            part.text += text
            self._emit(
                "response.output_text.delta",
                **self._name_place(self._last),
                content_index=0,
                delta=text,
                logprobs=logprobs,
            )

    def _add_refusal(self, text: str) -> None:
        item = self._current(OutputMessage)
        part = item.content[0] if item is not None else None
        if not isinstance(part, Refusal):
            part = self._open_message(Refusal(refusal=""))
        assert isinstance(part, Refusal)
        part.refusal += text
        self._emit("response.refusal.delta", **self._name_place(self._last), content_index=0, delta=text)

    def _add_arguments(self, call: dict[str, Any]) -> None:
        number = call.get("index")
        if number not in self._calls:
            function: dict[str, Any] = {**(call.get("function") or {}), "arguments": ""}
            self._start(to_call({**call, "function": function}, "in_progress"))
            self._calls[number] = self._last
        place = self._calls[number]
        self._newest_calls.add(place)
        self._send_arguments(place, _member(call, "function", "arguments") or "")

    def _send_arguments(self, place: int, text: str) -> None:
        item = self._output[place]
        assert isinstance(item, FunctionCall)
        if text:
            item.arguments += text
            self._emit("response.function_call_arguments.delta", **self._name_place(place), delta=text)

    def _open_message(self, part: OutputText | Refusal) -> OutputText | Refusal:
        self._start(OutputMessage(id=new_id("msg_"), status="in_progress", content=[]))
        message = self._output[-1]
        assert isinstance(message, OutputMessage)
        message.content.append(part)
        self._emit("response.content_part.added", **self._name_place(self._last), content_index=0, part=part)
        return part

    def _start(self, item: OutputItem) -> None:
        if self._open:
            self._close(self._last, "completed")
        self._output.append(item)
        self._open = not isinstance(item, FunctionCall)
        self._newest_calls.clear()
        self._emit("response.output_item.added", output_index=self._last, item=item)

    def _close(self, at: int, status: Literal["completed", "incomplete"]) -> None:
        item, place = self._output[at], self._name_place(at)
        match item:
            case OutputMessage():
                self._close_part(item.content[0])
            case FunctionCall():
                if status == "completed" and not item.arguments:
                    self._send_arguments(at, NO_ARGUMENTS)
                name = "response.function_call_arguments.done"
                self._emit(name, **place, name=item.name, arguments=item.arguments)
            case ReasoningItem():
                if self._text is not None:
                    self._send_thought(item.content[0], self._text.finish())
                    self._trace.removed_links += self._text.removed_links
                    self._text = None
                self._emit("response.reasoning_text.done", **place, content_index=0, text=item.content[0].text)
            case _:
                raise AssertionError(item)
        item.status = status
        self._open = self._open and at != self._last
        self._emit("response.output_item.done", output_index=at, item=item)

    def _close_part(self, part: OutputText | Refusal) -> None:
        place = {**self._name_place(self._last), "content_index": 0}
        if isinstance(part, Refusal):
            self._emit("response.refusal.done", **place, refusal=part.refusal)
        else:
            if self._text is not None:
                self._send_text(part, self._text.finish(), [])
            part.annotations = cite(self._trace, self._text)
            self._text = None
            for number, annotation in enumerate(part.annotations):
                name = "response.output_text.annotation.added"
                self._emit(name, **place, annotation_index=number, annotation=annotation)
            self._emit("response.output_text.done", **place, text=part.text, logprobs=part.logprobs)
        self._emit("response.content_part.done", **place, part=part)

    def _current(self, kind: type[Any]) -> Any:
        """Return the open thoughts or message, or None."""
        return self._output[-1] if self._open and isinstance(self._output[-1], kind) else None

    @property
    def _last(self) -> int:
        return len(self._output) - 1

    def _name_place(self, place: int) -> dict[str, Any]:
        return {"output_index": place, "item_id": self._output[place].id}

    def _emit(self, type: str, **members: Any) -> None:
        data = msgspec.json.encode({"type": type, "sequence_number": self._sequence, **members})
        self._events.append(b"event: " + type.encode() + b"\ndata: " + data + b"\n\n")
        self._sequence += 1

    def _take(self) -> bytes:
        events, self._events = b"".join(self._events), []
        return events


def _empty_text() -> OutputText:
    return OutputText(text="", annotations=[], logprobs=[])


def _member(members: dict[str, Any], name: str, inner: str) -> Any:
    outer: dict[str, Any] = members.get(name) or {}
    return outer.get(inner)
