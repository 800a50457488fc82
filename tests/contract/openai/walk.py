"""A walk over everything that Braid has of OpenAI's API, with the `openai` package as its users have it.

Each answer is taken twice: by the client, and raw, to be validated strictly with the model that the client makes of it.
The walk needs a URL, a key with `chat` and `manage`, and what `model` may be; it removes what it made.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self, get_args

import openai
import pytest
from openai import BaseModel, OpenAI
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from openai.types.shared import ErrorObject

from tests.contract.openai.strict import decode, find_problems
from tests.fakes.capture import CITY, NAME_MEMBERS, TOOL

__all__ = ["Walk"]

FACT = "The warranty of the Kestrel kettle is 31 months."
QUESTION = "How long is the warranty of the Kestrel kettle?"
SCHEMA = {"name": "city", "strict": True, "schema": CITY}
MOST_TOKENS = 64


FUNCTION: Any = {"type": "function", **TOOL["function"]}
EVENTS: dict[str, Any] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(get_args(ResponseStreamEvent)[0])
}
"""The package's models of a streamed response's events, by their type."""


class City(BaseModel):
    """The form of a structured answer, as a user of the package writes it."""

    city: Literal["Oslo", "Rome"]


class ErrorEnvelope(BaseModel):
    """What the package reads of an error's body, by its documentation."""

    error: ErrorObject


@dataclass
class Walk:
    """One client, and what it has seen.

    Args:
        url: With `/v1`.
        model: What answers questions.
        base_model: What a fine-tuning job names.
        question: What the model is asked.
        patience: Seconds that an ingest or a training may take.
    """

    url: str
    key: str
    model: str
    base_model: str
    question: str = QUESTION
    patience: float = 60
    calls: set[tuple[str, str]] = field(default_factory=set)

    @property
    def messages(self) -> list[Any]:
        return [{"role": "user", "content": self.question}]

    def __enter__(self) -> Self:
        self.client = OpenAI(base_url=self.url, api_key=self.key, max_retries=0, timeout=120)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def take(self, raw: Any) -> Any:
        """Return what the client makes of an answer whose raw body was validated with the same model."""
        self._note(raw)
        assert raw.headers["content-type"] == "application/json"
        parsed = raw.parse()
        problems = find_problems(type(parsed), decode(raw.text), type(parsed).__name__)
        assert not problems, f"{raw.http_request.method} {raw.http_request.url.path}: {problems}\n{raw.text[:2000]}"
        return parsed

    def refuse(self, kind: type[openai.APIStatusError], call: Callable[[], object]) -> dict[str, Any]:
        """Return the error of a call that the client raises as `kind`, with all of OpenAI's members."""
        try:
            call()
        except kind as error:
            body = decode(error.response.text)
        else:
            raise AssertionError(f"no {kind.__name__}")
        assert not find_problems(ErrorEnvelope, body), body
        assert set(body) == {"error"}
        assert set(body["error"]) == {"message", "type", "param", "code"}
        return body["error"]

    # Areas

    def models(self) -> None:
        models = self.client.models.with_raw_response
        assert self.model in [model.id for model in self.take(models.list())]
        assert self.take(models.retrieve(self.model)).id == self.model
        error = self.refuse(openai.NotFoundError, lambda: self.client.models.retrieve("nobody"))
        assert error["code"] == "model_not_found"

    def chat(self) -> None:
        answer = self._complete()
        assert answer.choices[0].message.content
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
        several = self._complete(n=2, temperature=0.7, logprobs=True, top_logprobs=2)
        assert [choice.index for choice in several.choices] == [0, 1]
        assert all(len(token.top_logprobs) == 2 for token in several.choices[0].logprobs.content)
        parts = [{"role": "developer", "content": "Be brief."}]
        parts += [{"role": "user", "content": [{"type": "text", "text": "Say hello."}]}]
        self._complete(messages=parts, stop=["\n\n"], seed=7, metadata={"order": "1"})

    def structured(self) -> None:
        answer = self._complete(response_format={"type": "json_schema", "json_schema": SCHEMA})
        assert set(json.loads(answer.choices[0].message.content)) == {"city"}
        parsed = self.client.chat.completions.parse(
            model=self.model, messages=self.messages, max_completion_tokens=MOST_TOKENS, response_format=City
        )
        assert isinstance(parsed.choices[0].message.parsed, City)

    def tools(self) -> None:
        answer = self._complete(tools=[TOOL], tool_choice=NAME_MEMBERS)
        (call,) = answer.choices[0].message.tool_calls
        assert call.function.name == "find_city"
        assert set(json.loads(call.function.arguments)) == {"city"}
        chunks = self._stream(tools=[TOOL], tool_choice=NAME_MEMBERS)
        deltas = [part for chunk in chunks for choice in chunk.choices for part in choice.delta.tool_calls or []]
        assert deltas[0].function.name == "find_city"
        assert set(json.loads("".join(part.function.arguments or "" for part in deltas))) == {"city"}
        result = {"role": "tool", "tool_call_id": call.id, "content": "Oslo"}
        self._complete(messages=[*self.messages, answer.choices[0].message.model_dump(exclude_none=True), result])

    def streams(self) -> None:
        for model in (self.model, self.base_model):
            chunks = self._stream(model=model)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        chunks = self._stream(stream_options={"include_usage": True}, n=2, temperature=0.7, logprobs=True)
        assert chunks[-1].usage.total_tokens
        assert chunks[-1].choices == []
        assert {choice.index for chunk in chunks for choice in chunk.choices} == {0, 1}
        with self.client.chat.completions.stream(
            model=self.model, messages=self.messages, max_completion_tokens=MOST_TOKENS
        ) as stream:
            assert stream.get_final_completion().choices[0].finish_reason in ("stop", "length")

    def citations(self) -> None:
        """Only for a model with documents that hold the question's answer."""
        answer = self._complete()
        message = answer.choices[0].message
        assert message.annotations
        for annotation in message.annotations:
            cited = annotation.url_citation
            assert re.fullmatch(r"\[\d+\]", message.content[cited.start_index : cited.end_index])
        ends = [choice for chunk in self._stream() for choice in chunk.choices if choice.finish_reason]
        assert ends[0].delta.annotations

    def responses(self) -> None:
        answer = self._respond(instructions="Be brief.", metadata={"order": "1"}, top_logprobs=2)
        assert (answer.status, answer.model) == ("completed", self.model)
        assert answer.output_text
        assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
        parts = [{"role": "user", "content": [{"type": "input_text", "text": self.question}]}]
        history = [*parts, *(item.model_dump(exclude_none=True) for item in answer.output), *parts]
        self._respond(input=history, text={"format": {"type": "json_schema", **SCHEMA}})
        for asked in ({}, {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "find_city"}}):
            asked: dict[str, Any]
            whole, events = self._respond(**asked), self._respond_events(**asked)
            assert [event.sequence_number for event in events] == list(range(len(events)))
            assert events[-1].type == "response.completed"
            assert [item.type for item in events[-1].response.output] == [item.type for item in whole.output]
            deltas = "".join(getattr(event, "delta", "") for event in events)
            item = events[-1].response.output[-1]
            assert deltas == (item.arguments if asked else events[-1].response.output_text)
        with self.client.responses.stream(model=self.model, input=self.question) as stream:
            assert stream.get_final_response().output_text
        self._answer_call()
        refused: Any = {"previous_response_id": "resp_1", "model": self.model, "input": "Hi"}
        error = self.refuse(openai.BadRequestError, lambda: self.client.responses.create(**refused))
        assert error["code"] == "unsupported_parameter"

    def _answer_call(self) -> None:
        forced = {"tools": [FUNCTION], "tool_choice": "required"}
        call = self._respond(**forced).output[-1]
        assert (call.type, call.name, set(json.loads(call.arguments))) == ("function_call", "find_city", {"city"})
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "Oslo"}
        question = {"role": "user", "content": self.question}
        self._respond(input=[question, call.model_dump(exclude_none=True), output], tools=[FUNCTION])

    def file_search(self) -> None:
        store = self.client.vector_stores.create(name="searched").id
        file = self._upload("kettle.txt", FACT.encode())
        self.client.vector_stores.files.create_and_poll(file, vector_store_id=store, poll_interval_ms=50)
        tool: Any = {"type": "file_search", "vector_store_ids": [store], "max_num_results": 3}
        answer = self._respond(model=self.base_model, tools=[tool], include=["file_search_call.results"])
        search = answer.output[0]
        assert (search.type, search.queries) == ("file_search_call", [self.question])
        assert "31 months" in search.results[0].text
        assert search.results[0].file_id == file
        events = self._respond_events(model=self.base_model, tools=[tool])
        assert events[-1].response.output[0].results is None
        tool["filters"] = {"type": "eq", "key": "area", "value": "pots"}
        none = self._respond(model=self.base_model, tools=[tool], include=["file_search_call.results"])
        assert none.output[0].results == []
        self.client.vector_stores.delete(store)
        self.client.files.delete(file)

    def errors(self) -> None:
        ask = self.client.chat.completions.create
        loose: Any = self.client.post
        error = self.refuse(openai.NotFoundError, lambda: ask(model="nobody", messages=self.messages))
        assert error["code"] == "model_not_found"
        wrong: list[dict[str, Any]] = [{}, {"messages": []}, {"messages": self.messages, "temperature": "hot"}]
        for body in wrong:
            sent = {"model": self.model, **body}
            self.refuse(openai.BadRequestError, lambda: loose("/chat/completions", body=sent, cast_to=object))  # noqa: B023
        self.refuse(openai.NotFoundError, lambda: loose("/nowhere", body={}, cast_to=object))
        self.refuse(openai.NotFoundError, lambda: self.client.files.retrieve("file-none"))
        self.refuse(openai.NotFoundError, lambda: self.client.vector_stores.retrieve("vs_none"))
        self.refuse(openai.NotFoundError, lambda: self.client.fine_tuning.jobs.retrieve("ftjob-none"))
        self.refuse(openai.BadRequestError, lambda: self.client.vector_stores.list(limit=1000))
        with OpenAI(base_url=self.url, api_key="wrong", max_retries=0) as stranger:
            self.refuse(openai.AuthenticationError, lambda: stranger.models.list())

    def files(self) -> None:
        files = self.client.files.with_raw_response
        made = [self._upload(f"{n}.txt", FACT.encode()) for n in range(3)]
        assert self.take(files.retrieve(made[0])).bytes == len(FACT)
        content = files.content(made[0])
        self._note(content)
        assert content.parse().read() == FACT.encode()
        self.take(files.list(limit=2, order="asc", purpose="assistants"))
        assert set(made) <= {file.id for file in self.client.files.list(limit=1)}  # the client turns the pages
        for id in made:
            assert self.take(files.delete(id)).deleted
        self.refuse(openai.NotFoundError, lambda: self.client.files.retrieve(made[0]))

    def uploads(self) -> None:
        uploads = self.client.uploads.with_raw_response
        parts: list[bytes] = [b"The warranty of the Kestrel ", b"kettle is 31 months."]
        asked: Any = {"purpose": "assistants", "mime_type": "text/plain", "filename": "kettle.txt"}
        upload = self.take(uploads.create(**asked, bytes=len(FACT))).id
        ids = [self.take(uploads.parts.create(upload, data=part)).id for part in reversed(parts)]
        digest = hashlib.md5(FACT.encode(), usedforsecurity=False).hexdigest()
        done = self.take(uploads.complete(upload, part_ids=ids[::-1], md5=digest))
        assert (done.status, done.file.filename, done.file.bytes) == ("completed", "kettle.txt", len(FACT))
        assert self.client.files.content(done.file.id).read() == FACT.encode()
        self.refuse(openai.BadRequestError, lambda: self.client.uploads.cancel(upload))
        other = self.take(uploads.create(**asked, bytes=3)).id
        assert self.take(uploads.cancel(other)).status == "cancelled"
        self.refuse(openai.BadRequestError, lambda: self.client.uploads.parts.create(other, data=b"abc"))
        whole = self.client.uploads.upload_file_chunked(
            file=FACT.encode() * 5, filename="five.txt", bytes=len(FACT) * 5, mime_type="text/plain",
            purpose="assistants", part_size=100,
        )  # fmt: skip
        assert whole.file is not None
        assert self.client.files.content(whole.file.id).read() == FACT.encode() * 5
        for id in (done.file.id, whole.file.id):
            self.take(self.client.files.with_raw_response.delete(id))

    def embeddings(self) -> None:
        create = self.client.embeddings.with_raw_response.create
        answer = self.take(create(model="default", input=[FACT, QUESTION], encoding_format="float"))
        assert [one.index for one in answer.data] == [0, 1]
        assert answer.usage.total_tokens == answer.usage.prompt_tokens > 0
        assert sum(number**2 for number in answer.data[0].embedding) == pytest.approx(1, abs=1e-4)
        # The client asks for base64 unless it is told otherwise, and decodes it.
        again = self.client.embeddings.create(model=answer.model, input=QUESTION)
        assert again.data[0].embedding == pytest.approx(answer.data[1].embedding, abs=1e-6)
        assert answer.model in [model.id for model in self.client.models.list()]
        self.take(self.client.models.with_raw_response.retrieve(answer.model))
        self.refuse(openai.NotFoundError, lambda: self.client.embeddings.create(model="nobody", input="x"))
        error = self.refuse(openai.BadRequestError, lambda: self.client.embeddings.create(model="default", input=[1]))
        assert error["code"] == "tokens_unsupported"

    def vector_stores(self) -> None:
        stores = self.client.vector_stores.with_raw_response
        store = self.take(stores.create(name="walk", metadata={"a": "b"})).id
        self.take(stores.retrieve(store))
        renamed = stores.update(store, name="renamed", expires_after={"anchor": "last_active_at", "days": 3})
        assert self.take(renamed).expires_at
        assert store in [one.id for one in self.take(stores.list(limit=100))]
        self._store_files(store)
        self._file_batches(store)
        assert self.take(stores.delete(store)).deleted
        self.refuse(openai.NotFoundError, lambda: self.client.vector_stores.retrieve(store))

    def _store_files(self, store: str) -> None:
        files = self.client.vector_stores.files.with_raw_response
        file = self._upload("kettle.txt", FACT.encode())
        attributes: Any = {"area": "kettles", "year": 2026, "new": True}
        self.take(files.create(store, file_id=file, attributes=attributes))
        done = self._wait(lambda: self.take(files.retrieve(file, vector_store_id=store)), ("completed", "failed"))
        assert done.status == "completed", done.last_error
        self.take(files.list(store, filter="completed", order="asc"))
        found = self._search(store, {"type": "eq", "key": "area", "value": "kettles"})
        assert "31 months" in found[0].content[0].text
        assert not self._search(store, {"type": "eq", "key": "area", "value": "pots"})
        content = self.take(files.content(file, vector_store_id=store))
        assert "".join(piece.text for piece in content) == FACT
        changed = self.take(files.update(file, vector_store_id=store, attributes={"area": "pots", "year": 2026}))
        assert (changed.status, changed.attributes) == ("completed", {"area": "pots", "year": 2026})
        among: Any = {"type": "in", "key": "area", "value": ["pots", "pans"]}
        assert self._search(store, {"type": "and", "filters": [among, {"type": "gte", "key": "year", "value": 2026}]})
        assert not self._search(store, {"type": "eq", "key": "area", "value": "kettles"})
        assert self.take(files.delete(file, vector_store_id=store)).deleted
        assert not self._search(store, None)
        self.take(self.client.files.with_raw_response.delete(file))

    def _file_batches(self, store: str) -> None:
        batches = self.client.vector_stores.file_batches.with_raw_response
        files = [self._upload(f"{n}.txt", f"{FACT} {n}".encode()) for n in range(3)]
        each: Any = [{"file_id": id, "attributes": {"number": n}} for n, id in enumerate(files[:2])]
        batch = self.take(batches.create(store, files=each)).id
        done = self._wait(lambda: self.take(batches.retrieve(batch, vector_store_id=store)), ("completed", "failed"))
        assert (done.status, done.file_counts.completed, done.file_counts.total) == ("completed", 2, 2)
        pages = self.client.vector_stores.file_batches.list_files(batch, vector_store_id=store, limit=1, order="asc")
        assert [file.id for file in pages] == files[:2]
        self.take(batches.list_files(batch, vector_store_id=store, filter="completed"))
        assert len(self._search(store, {"type": "eq", "key": "number", "value": 1})) == 1
        polled = self.client.vector_stores.file_batches.create_and_poll(store, file_ids=files, poll_interval_ms=50)
        assert polled.file_counts.completed == 3
        self.take(batches.cancel(batch, vector_store_id=store))
        self.refuse(
            openai.NotFoundError,
            lambda: self.client.vector_stores.file_batches.retrieve("vsfb_none", vector_store_id=store),
        )
        for id in files:
            self.take(self.client.files.with_raw_response.delete(id))

    def fine_tuning(self) -> None:
        jobs = self.client.fine_tuning.jobs.with_raw_response
        rows = [(f"Where is order {n}?", f"Ahoy! Order {n} be sailing to ye.") for n in range(16)]
        file = self._upload("style.jsonl", _training_rows(rows), "fine-tune")
        method: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}}
        asked: Any = {"model": self.base_model, "training_file": file, "suffix": "walk", "method": method}
        job = self.take(jobs.create(**asked, metadata={"by": "walk"}, seed=1)).id
        done = self._wait(lambda: self.take(jobs.retrieve(job)), ("succeeded", "failed", "cancelled"))
        assert done.status == "succeeded", done.error
        assert job in [one.id for one in self.take(jobs.list(limit=100))]
        assert len(list(self.client.fine_tuning.jobs.list_events(job, limit=5))) > 5
        self.take(jobs.list_events(job, limit=100))
        self.take(self.client.fine_tuning.jobs.checkpoints.with_raw_response.list(job))
        result = self.client.files.content(done.result_files[0]).text
        assert result.startswith("step,")
        ended = self.refuse(openai.BadRequestError, lambda: self.client.fine_tuning.jobs.cancel(job))
        assert job in ended["message"]
        other = self.take(jobs.create(**asked, seed=2)).id
        for _ in range(2):  # asked for again, it stays so
            paused = jobs.pause(other)
            self._note(paused)
            assert paused.parse().status == "paused"  # pyright: ignore[reportUnnecessaryComparison]  # newer than its type
        assert self.take(jobs.resume(other)).status in ("queued", "running")
        assert self.take(jobs.cancel(other)).status == "cancelled"
        self._preferred(done.fine_tuned_model, rows)
        self._tuned_model(done.fine_tuned_model)

    def _preferred(self, model: str, rows: list[tuple[str, str]]) -> None:
        jobs = self.client.fine_tuning.jobs.with_raw_response
        file = self._upload("pairs.jsonl", _preference_rows(rows), "fine-tune")
        method: Any = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2, "n_epochs": 1}}}
        made = self.take(jobs.create(model=model, training_file=file, method=method, suffix="walk", seed=1))
        done = self._wait(lambda: self.take(jobs.retrieve(made.id)), ("succeeded", "failed", "cancelled"))
        assert done.status == "succeeded", done.error
        assert done.model == model
        assert done.method.type == "dpo"
        assert done.method.dpo.hyperparameters.beta == 0.2
        self.take(jobs.list_events(made.id, limit=100))
        self.take(self.client.fine_tuning.jobs.checkpoints.with_raw_response.list(made.id))

    def _tuned_model(self, model: str) -> None:
        self._wait(lambda: model in [one.id for one in self.client.models.list()], (True,))
        assert self._complete(model=model).model == model
        assert self.take(self.client.models.with_raw_response.delete(model)).deleted

    def evals(self) -> None:
        evals = self.client.evals.with_raw_response
        judge = [{"role": "user", "content": "Is {{ sample.output_text }} a city?"}]
        criteria: Any = [
            {"type": "string_check", "name": "exact", "operation": "ilike", "input": "{{ sample.output_text }}",
             "reference": "{{ item.answer }}"},
            {"type": "text_similarity", "name": "alike", "evaluation_metric": "fuzzy_match", "pass_threshold": 0.5,
             "input": "{{ sample.output_text }}", "reference": "{{ item.answer }}"},
            {"type": "label_model", "name": "judge", "model": self.base_model, "input": judge, "labels": ["yes", "no"],
             "passing_labels": ["yes"]},
            {"type": "score_model", "name": "points", "model": self.base_model, "input": judge, "range": [0, 10]},
        ]  # fmt: skip
        item_schema = {"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]}
        config: Any = {"type": "custom", "item_schema": item_schema, "include_sample_schema": True}
        made = self.take(evals.create(name="walk", data_source_config=config, testing_criteria=criteria))
        assert [one.name for one in made.testing_criteria] == ["exact", "alike", "judge", "points"]
        assert self.take(evals.update(made.id, name="renamed", metadata={"a": "b"})).metadata == {"a": "b"}
        assert self.take(evals.retrieve(made.id)).name == "renamed"
        assert made.id in [one.id for one in self.take(evals.list(limit=100, order="desc", order_by="updated_at"))]
        self._runs(made.id)
        refused: Any = {"type": "python", "name": "p", "source": "def grade(sample, item): return 1.0"}
        create = self.client.evals.create
        error = self.refuse(
            openai.BadRequestError, lambda: create(data_source_config=config, testing_criteria=[refused])
        )
        assert error["code"] == "unsupported_grader"
        assert self.take(evals.delete(made.id)).deleted
        self.refuse(openai.NotFoundError, lambda: self.client.evals.retrieve(made.id))

    def _runs(self, eval_id: str) -> None:
        runs, rows = self.client.evals.runs.with_raw_response, [{"item": {"question": self.question, "answer": "x"}}]
        source: Any = {
            "type": "completions", "model": self.model, "source": {"type": "file_content", "content": rows},
            "input_messages": {"type": "template", "template": [{"role": "user", "content": "{{ item.question }}"}]},
            "sampling_params": {"temperature": 0, "max_completion_tokens": MOST_TOKENS},
        }  # fmt: skip
        run = self.take(runs.create(eval_id, name="walk", data_source=source, metadata={"by": "walk"})).id
        done = self._wait(lambda: self.take(runs.retrieve(run, eval_id=eval_id)), ("completed", "failed", "canceled"))
        assert (done.status, done.result_counts.total) == ("completed", 1), done.error
        assert {one.run_model_name for one in done.per_model_usage} == {self.model, self.base_model}
        assert run in [one.id for one in self.take(runs.list(eval_id, status="completed"))]
        items = self.client.evals.runs.output_items.with_raw_response
        (item,) = self.take(items.list(run, eval_id=eval_id, order="asc"))
        assert [result.name for result in item.results] == ["exact", "alike", "judge", "points"]
        assert self.take(items.retrieve(item.id, eval_id=eval_id, run_id=run)).sample.output[0].content
        error = self.refuse(openai.BadRequestError, lambda: self.client.evals.runs.cancel(run, eval_id=eval_id))
        assert error["code"] == "job_ended"
        many: Any = {**source, "source": {"type": "file_content", "content": rows * 300}}
        other = self.take(runs.create(eval_id, data_source=many)).id
        assert self.take(runs.cancel(other, eval_id=eval_id)).status == "canceled"
        assert self.take(runs.delete(other, eval_id=eval_id)).deleted

    # Steps

    def _note(self, raw: Any) -> None:
        self.calls.add((raw.http_request.method, raw.http_request.url.path))

    def _complete(self, **more: Any) -> Any:
        asked = {"model": self.model, "messages": self.messages, "max_completion_tokens": MOST_TOKENS, **more}
        return self.take(self.client.chat.completions.with_raw_response.create(**asked))

    def _stream(self, **more: Any) -> list[Any]:
        """Return the stream's chunks, each validated; the stream itself keeps to the rules of server-sent events."""
        asked = {"model": self.model, "messages": self.messages, "max_completion_tokens": MOST_TOKENS, **more}
        streaming = self.client.chat.completions.with_streaming_response
        with streaming.create(**asked, stream=True) as answer:
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            events = answer.read().decode().split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]
        values = [decode(event.removeprefix("data: ")) for event in events[:-2]]
        for value in values:
            assert not find_problems(ChatCompletionChunk, value), value
        assert len({value["id"] for value in values}) == 1
        finished = [c["index"] for value in values for c in value["choices"] if c["finish_reason"]]
        assert sorted(finished) == list(range(more.get("n", 1)))
        return [ChatCompletionChunk.construct(**value) for value in values]

    def _respond(self, **more: Any) -> Any:
        asked = {"model": self.model, "input": self.question, "max_output_tokens": MOST_TOKENS, **more}
        return self.take(self.client.responses.with_raw_response.create(**asked))

    def _respond_events(self, **more: Any) -> list[Any]:
        """Return the events of a streamed response, each validated as the one that it says it is."""
        asked = {"model": self.model, "input": self.question, "max_output_tokens": MOST_TOKENS, **more}
        with self.client.responses.with_streaming_response.create(**asked, stream=True) as answer:
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            events = answer.read().decode().split("\n\n")
        assert events.pop() == ""
        pairs = [event.removeprefix("event: ").split("\ndata: ") for event in events]
        values = [(name, decode(data)) for name, data in pairs]
        for name, value in values:
            assert value["type"] == name
            assert not find_problems(EVENTS[name], value, name), value
        return [EVENTS[name].model_validate(value) for name, value in values]

    def _upload(self, name: str, data: bytes, purpose: Any = "assistants") -> str:
        return self.take(self.client.files.with_raw_response.create(file=(name, data), purpose=purpose)).id

    def _search(self, store: str, filters: Any) -> list[Any]:
        more = {} if filters is None else {"filters": filters}
        search = self.client.vector_stores.with_raw_response.search
        return list(self.take(search(store, query=QUESTION, max_num_results=3, **more)))

    def _wait(self, look: Callable[[], Any], ends: Sequence[object]) -> Any:
        deadline = time.monotonic() + self.patience
        while getattr(seen := look(), "status", seen) not in ends:
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)
        return seen


def _training_rows(rows: list[tuple[str, str]]) -> bytes:
    messages = [
        [{"role": "user", "content": question}, {"role": "assistant", "content": reply}] for question, reply in rows
    ]
    return b"\n".join(json.dumps({"messages": one}).encode() for one in messages)


def _preference_rows(rows: list[tuple[str, str]]) -> bytes:
    lines = [
        {
            "input": {"messages": [{"role": "user", "content": question}]},
            "preferred_output": [{"role": "assistant", "content": reply}],
            "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
        }
        for question, reply in rows
    ]
    return b"\n".join(json.dumps(one).encode() for one in lines)
