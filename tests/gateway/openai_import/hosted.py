"""A project at OpenAI: objects of all kinds that an import reads, in OpenAI's published shapes."""

import json
from pathlib import Path
from typing import Any

from tests.fakes.openai_api import Recording
from tests.fakes.trainer import preferences, rows

VOICE = "ft:gpt-4o-mini-2024-07-18:acme:voice:AbC123"
PREFERRED = "ft:gpt-4o-mini-2024-07-18:acme::DeF456"
CREATED = 1_760_000_000
GUIDE = b"# Kettles\n\nThe warranty of the kettle is 24 months.\n"
ANSWERS = 12


def file(id: str, filename: str, purpose: str, size: int) -> dict[str, Any]:
    return {
        "id": id,
        "object": "file",
        "bytes": size,
        "created_at": CREATED,
        "filename": filename,
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
        "expires_at": None,
    }


def job(id: str, result: str | None, training_file: str, at: int, **more: Any) -> dict[str, Any]:
    hyperparameters = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 1.8}
    return {
        "object": "fine_tuning.job",
        "id": id,
        "model": "gpt-4o-mini-2024-07-18",
        "created_at": CREATED + at,
        "finished_at": CREATED + at + 100,
        "fine_tuned_model": result,
        "organization_id": "org-acme",
        "result_files": ["file-results"],
        "status": "succeeded" if result else "failed",
        "validation_file": None,
        "training_file": training_file,
        "hyperparameters": hyperparameters,
        "trained_tokens": 5768,
        "error": None if result else {"code": "exceeded_quota", "message": "quota", "param": None},
        "user_provided_suffix": None,
        "seed": 683058546,
        "integrations": [],
        "metadata": {"team": "desk"},
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        **more,
    }


def eval_object(id: str, name: str, config: dict[str, Any], criteria: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "object": "eval",
        "id": id,
        "name": name,
        "created_at": CREATED,
        "metadata": {},
        "data_source_config": config,
        "testing_criteria": criteria,
    }


def store(id: str, name: str, status: str = "completed") -> dict[str, Any]:
    counts = {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1}
    return {
        "id": id,
        "object": "vector_store",
        "created_at": CREATED,
        "name": name,
        "usage_bytes": 123,
        "file_counts": counts,
        "status": status,
        "expires_after": None,
        "expires_at": None,
        "last_active_at": CREATED,
        "metadata": {"area": "kettles"},
    }


def store_file(store_id: str, id: str, attributes: dict[str, Any]) -> dict[str, Any]:
    sizes = {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}
    return {
        "id": id,
        "object": "vector_store.file",
        "usage_bytes": 123,
        "created_at": CREATED,
        "vector_store_id": store_id,
        "status": "completed",
        "last_error": None,
        "attributes": attributes,
        "chunking_strategy": {"type": "static", "static": sizes},
    }


def output_item(number: int) -> dict[str, Any]:
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18, "cached_tokens": 0}
    sample = {
        "input": [{"role": "user", "content": f"Where is parcel {number}?"}],
        "output": [{"role": "assistant", "content": f"Ahoy! Parcel {number} be sailing to ye, matey."}],
        "finish_reason": "stop",
        "model": VOICE,
        "usage": usage,
        "error": {"code": "", "message": ""},
        "temperature": 1.0,
        "max_completion_tokens": 2048,
        "top_p": 1.0,
        "seed": 42,
    }
    return {
        "object": "eval.run.output_item",
        "id": f"outputitem_{number}",
        "created_at": CREATED,
        "run_id": "evalrun_1",
        "eval_id": "eval_1",
        "status": "pass",
        "datasource_item_id": number,
        "datasource_item": {"question": f"Where is parcel {number}?"},
        "results": [{"name": "exact", "type": "string-check-grader", "passed": True, "score": 1.0, "sample": None}],
        "sample": sample,
    }


def completion(number: int, model: str = VOICE) -> dict[str, Any]:
    message = {"role": "assistant", "content": f"Ahoy! Order {number} be a-coming.", "refusal": None}
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
    }


def run() -> dict[str, Any]:
    return {
        "object": "eval.run",
        "id": "evalrun_1",
        "eval_id": "eval_1",
        "report_url": "https://platform.openai.com/evaluations/eval_1?run_id=evalrun_1",
        "status": "completed",
        "model": VOICE,
        "name": "voice",
        "created_at": CREATED,
        "result_counts": {"total": 12, "errored": 0, "failed": 0, "passed": 12},
        "per_model_usage": [],
        "per_testing_criteria_results": [{"testing_criteria": "exact", "passed": 12, "failed": 0}],
        "data_source": {"type": "jsonl", "source": {"type": "file_id", "id": "file-cases"}},
        "error": {"code": "", "message": ""},
        "metadata": {},
    }


TRAINING, PAIRS = rows(50), preferences(50)
CASES = b'{"item": {"question": "Where is parcel 1?"}}\n'
FILES = [
    (file("file-rows", "rows.jsonl", "fine-tune", len(TRAINING)), TRAINING),
    (file("file-check", "check.jsonl", "fine-tune", len(rows(4))), rows(4)),
    (file("file-pairs", "pairs.jsonl", "fine-tune", len(PAIRS)), PAIRS),
    (file("file-results", "step_metrics.csv", "fine-tune-results", 10), b"step,loss\n"),
    (file("file-guide", "guide.md", "user_data", len(GUIDE)), GUIDE),
    (file("file-locked", "manual.pdf", "assistants", 999), None),
    (file("file-photo", "kettle.png", "vision", 4), b"\x89PNG"),
    (file("file-cases", "cases.jsonl", "user_data", len(CASES)), CASES),
]
LARGE_BATCHES = {
    "type": "supervised",
    "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 512, "learning_rate_multiplier": 1.8}},
}
JOBS = [
    job("ftjob-broken", None, "file-rows", 1),
    job("ftjob-graded", "ft:o4-mini:acme::XyZ", "file-rows", 2, method={"type": "reinforcement"}),
    job("ftjob-pairs", PREFERRED, "file-pairs", 30, model=VOICE, method={
        "type": "dpo",
        "dpo": {"hyperparameters": {"n_epochs": 1, "batch_size": 16, "learning_rate_multiplier": 0.5, "beta": 0.2}},
    }),
    job("ftjob-voice", VOICE, "file-rows", 20, validation_file="file-check", method=LARGE_BATCHES),
]  # fmt: skip
ITEM = {"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]}
CUSTOM = {"type": "custom", "schema": {"type": "object", "properties": {"item": ITEM}, "required": ["item"]}}
EXACT = {
    "type": "string_check",
    "name": "exact",
    "input": "{{ item.question }}",
    "reference": "parcel",
    "operation": "like",
}
PYTHON = {"type": "python", "name": "program", "source": "def grade(sample, item): return 1.0", "pass_threshold": 0.5}
JUDGE = {
    "type": "label_model",
    "name": "judge",
    "model": "gpt-4o",
    "input": [{"type": "message", "role": "user", "content": {"type": "input_text", "text": "{{ item.question }}"}}],
    "labels": ["good", "bad"],
    "passing_labels": ["good"],
}
EVALS = [
    eval_object("eval_1", "Parcels", CUSTOM, [EXACT, PYTHON, JUDGE]),
    eval_object("eval_2", "Stored", {"type": "stored_completions", "schema": {}, "metadata": {}}, [EXACT]),
]
STORES = [store("vs_kettles", "Kettles"), store("vs_old", "Old", "expired")]
STORE_FILES = [
    store_file("vs_kettles", "file-guide", {"area": "kettles", "year": 2024.0}),
    store_file("vs_kettles", "file-locked", {}),
    store_file("vs_kettles", "file-photo", {}),
]
CHECKPOINT = {
    "object": "fine_tuning.job.checkpoint",
    "id": "ftckpt_1",
    "created_at": CREATED,
    "fine_tuned_model_checkpoint": f"{VOICE}:ckpt-step-12",
    "fine_tuning_job_id": "ftjob-voice",
    "metrics": {"step": 12, "train_loss": 0.4},
    "step_number": 12,
}
GREETING = "hello {{name}}, {% 5 %}"
PROMPTS = [
    {
        "id": "pmpt_desk",
        "object": "prompt",
        "name": "Desk",
        "version": str(version),
        "messages": [
            {"role": "developer", "content": [{"type": "input_text", "text": f"v{version}: {GREETING}"}]},
            {"role": "user", "content": "{{question}}"},
        ],
        "tools": [{"type": "web_search"}],
    }
    for version in (2, 1)
]  # fmt: skip


def record() -> Recording:
    """Return the project as the API answers: newest jobs first, files that can't be read back refused."""
    answers = [completion(number) for number in range(3)] + [completion(9, "gpt-4o")]
    recording = Recording()
    recording.lists = {
        "/files": [one for one, _ in FILES],
        "/fine_tuning/jobs": JOBS[::-1],
        "/vector_stores": STORES,
        "/evals": EVALS,
        "/chat/completions": answers,
        "/vector_stores/vs_kettles/files": STORE_FILES,
        "/vector_stores/vs_old/files": [],
        "/evals/eval_1/runs": [run()],
        "/evals/eval_2/runs": [],
        "/evals/eval_1/runs/evalrun_1/output_items": [output_item(number) for number in range(ANSWERS)],
        **{f"/fine_tuning/jobs/{one['id']}/checkpoints": [] for one in JOBS},
        "/fine_tuning/jobs/ftjob-voice/checkpoints": [CHECKPOINT],
    }
    for one in answers[:3]:
        message = {"id": f"{one['id']}-0", "role": "user", "content": f"Where is order {one['id']}?"}
        recording.lists[f"/chat/completions/{one['id']}/messages"] = [message]
    recording.contents = {f"/files/{one['id']}/content": data for one, data in FILES if data is not None}
    recording.texts = {"/vector_stores/vs_kettles/files/file-locked/content": ["Page one.", "Page two."]}
    return recording


def write_export(folder: Path) -> Path:
    """Write the project as somebody would who saved pages and lists by hand."""
    (folder / "files").mkdir(parents=True)
    (folder / "files.json").write_text(json.dumps({"object": "list", "data": [one for one, _ in FILES]}))
    for one, data in FILES:
        if data is not None:
            (folder / "files" / f"{one['id']}_{one['filename']}").write_bytes(data)
    (folder / "fine-tuning-jobs.json").write_text(json.dumps(JOBS))
    (folder / "stores").mkdir()
    (folder / "stores" / "kettles.json").write_text(json.dumps(STORES[0]))
    (folder / "stores" / "old.json").write_text(json.dumps(STORES[1]))
    (folder / "stores" / "content.jsonl").write_text("\n".join(map(json.dumps, STORE_FILES)))
    (folder / "evals.jsonl").write_text("\n".join(map(json.dumps, [*EVALS, run()])))
    (folder / "items.jsonl").write_text("\n".join(json.dumps(output_item(number)) for number in range(ANSWERS)))
    (folder / "prompts.jsonl").write_text(
        "\n".join(json.dumps({name: value for name, value in one.items() if name != "object"}) for one in PROMPTS)
    )
    (folder / "broken.json").write_text("{")
    (folder / "readme.json").write_text('{"who": "somebody"}')
    return folder
