import hashlib
import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]
from transformers import AutoModelForCausalLM

from tests.training.model.conftest import RECIPE, Train, conversation, write_rows
from training.errors import TrainingError
from training.events import Checkpoint, Event, Finished, Notice, PromptSamples, Started, Step
from training.hardware import Room
from training.manifest import Manifest, digest_adapter, read_manifest
from training.model import AdaptedModel
from training.rendered_rows import RowsFile
from training.spec import Recipe
from training.verdict import BaseShape, judge

OVERHEAD = 2**30


def finished(events: list[Event]) -> Manifest:
    assert isinstance(events[-1], Finished)
    return events[-1].manifest


def test_events_come_in_order_and_the_loss_goes_down(train: Train, rows: Path) -> None:
    events = train(validation_rows=RowsFile(str(rows)))
    kinds = [type(event) for event in events]
    assert kinds == [Notice, PromptSamples, Started, *[*[Step] * 3, Checkpoint] * 3, Finished]
    losses = [event.loss for event in events if isinstance(event, Step)]
    checkpoints = [event.metrics for event in events if isinstance(event, Checkpoint)]
    assert losses[-1] < losses[0] - 0.3
    assert [metrics.step for metrics in checkpoints] == [3, 6, 9]
    assert checkpoints[-1].valid_loss is not None
    assert checkpoints[-1].train_loss < checkpoints[0].train_loss
    # Validated on the rows that it learns: after an epoch it knows them better than during it.
    assert checkpoints[-1].valid_loss < checkpoints[-1].train_loss
    assert finished(events).losses == losses


def test_a_run_works_in_any_thread_and_leaves_signals_alone(train: Train, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with ThreadPoolExecutor(1) as threads:
        events = threads.submit(train, recipe=msgspec.structs.replace(RECIPE, epochs=1)).result()
    assert finished(events).rows == 12
    assert (tmp_path / "out" / "adapter_config.json").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_replies_are_learnt_on_from_the_weights_of_an_adapter(train: Train, tmp_path: Path) -> None:
    first = finished(train(recipe=msgspec.structs.replace(RECIPE, rank=4)))
    recipe = msgspec.structs.replace(RECIPE, epochs=1, rank=4, learning_rate=1e-3)
    second = finished(train("on", recipe, start=str(tmp_path / "out")))
    assert second.start_digest == first.adapter_digest == digest_adapter(tmp_path / "out")
    assert second.losses[0] < first.losses[0] - 0.3  # where the first has come to, and not at the beginning
    assert second.adapter_digest != first.adapter_digest


def test_replies_that_begin_with_white_space_never_fail_a_run(train: Train, tmp_path: Path) -> None:
    borders = ["\n\n", "  ", "\n", "\t", " \n ", "\u00a0"] * 2
    conversations = [conversation(number) for number in range(12)]
    for border, row in zip(borders, conversations, strict=True):
        row["messages"][-1]["content"] = border + row["messages"][-1]["content"] + border
    odd = write_rows(tmp_path / "odd.jsonl", *conversations)
    events = train(rows=RowsFile(str(odd)), recipe=msgspec.structs.replace(RECIPE, epochs=1))
    started = next(event for event in events if isinstance(event, Started))
    assert (started.rows, started.dropped) == (12, [])


def test_memory_that_runs_out_in_the_probe_is_a_reason(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*_: object) -> None:
        raise torch.OutOfMemoryError("none left")

    monkeypatch.setattr("training.run.Prober", run_out)
    with pytest.raises(TrainingError, match="BRAID_TRAINING_DEVICE") as caught:
        train()
    assert caught.value.code == "out_of_memory"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 12 bytes"),
    ],
)
@pytest.mark.parametrize(
    "place", ["training.model.AutoModelForCausalLM.from_pretrained", "training.assignment.Trainer.train"]
)
def test_memory_that_runs_out_in_training_is_a_reason_with_settings_that_exist(
    train: Train, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception
) -> None:
    def run_out(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(place, run_out)
    with pytest.raises(TrainingError, match=r"braid\.recipe: micro_batch_tokens under 2048") as caught:
        train()
    assert caught.value.code == "out_of_memory"
    assert "BRAID_ENGINE_GPU_SHARE" in caught.value.message


def test_without_validation_rows_the_last_step_is_kept(train: Train) -> None:
    assert finished(train()).best_step == 9


def test_a_run_says_what_it_was_expected_to_take(train: Train) -> None:
    started = next(event for event in train() if isinstance(event, Started))
    assert started.memory_forecast is not None
    assert started.memory_free is not None
    assert 0 < started.memory_forecast < started.memory_free
    assert (started.micro_batch_tokens, started.gradient_checkpointing) == (2048, False)


def test_a_run_that_does_not_fit_is_refused_before_the_model_is_loaded(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.room.list_rooms", lambda _: [Room("cpu", 64 << 20, 128 << 20)])
    monkeypatch.setattr("training.assignment.AdaptedModel.create", None)
    with pytest.raises(TrainingError, match=r"at least 1\.0 GiB on cpu .*Free are 0\.1 of 0\.1 GiB") as caught:
        train()
    assert caught.value.code == "out_of_memory"


def test_a_run_whose_proof_has_no_room_is_refused_before_it_is_trained(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.hardware._REFERENCE_BYTES", 1 << 50)
    monkeypatch.setattr("training.assignment.AdaptedModel.create", None)
    with pytest.raises(TrainingError, match=r"proof of an adapter is computed in float32.* GiB in all") as caught:
        train()
    assert caught.value.code == "out_of_memory"


def test_little_room_makes_smaller_parts_of_the_same_run(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    events = train("one")
    roomy = next(event for event in events if isinstance(event, Started))
    assert roomy.memory_forecast is not None
    free = OVERHEAD + (roomy.memory_forecast - OVERHEAD) // 2
    monkeypatch.setattr("training.room.list_rooms", lambda _: [Room("cpu", free, free)])
    again = train("two")
    started = next(event for event in again if isinstance(event, Started))
    assert started.memory_forecast is not None
    assert started.memory_forecast <= free
    assert started.micro_batch_tokens is not None
    assert started.micro_batch_tokens < 2048
    assert finished(again).losses == pytest.approx(finished(events).losses, rel=1e-2)  # bfloat16, where there is


def test_the_manifest_names_the_adapter_and_its_origin(train: Train, base_model: Path, tmp_path: Path) -> None:
    manifest = finished(train())
    out = tmp_path / "out"
    base = BaseShape.read(base_model)
    assert read_manifest(out) == manifest
    assert manifest.adapter_digest == digest_adapter(out)
    assert (manifest.base_digest, manifest.base_name) == (base.digest, "tiny-instruct")
    assert manifest.chat_template_digest == base.chat_template_digest
    assert manifest.recipe == RECIPE
    assert (manifest.rank, manifest.rows, len(manifest.losses)) == (8, 12, 9)
    assert set(manifest.versions) >= {"torch", "transformers", "peft"}
    assert sorted(entry.name for entry in out.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "manifest.json",
    ]  # fmt: skip
    assert not (tmp_path / "out.partial").exists()


def test_a_trained_adapter_passes_the_verdict_and_a_changed_copy_does_not(
    train: Train, base_model: Path, tmp_path: Path
) -> None:
    train()
    base = BaseShape.read(base_model)
    verdict = judge(tmp_path / "out", base, max_rank=16)
    assert verdict.ok, verdict.reasons
    assert verdict.modules == sorted(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    assert not judge(tmp_path / "out", base, max_rank=4).ok
    weights = tmp_path / "out" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    assert [reason.code for reason in judge(tmp_path / "out", base, max_rank=16).reasons] == ["digest_mismatch"]


def test_the_files_have_the_form_that_engines_load(train: Train, tmp_path: Path) -> None:
    train(base_name="acme/tiny")
    text = (tmp_path / "out" / "adapter_config.json").read_text()
    config = json.loads(text)
    assert config["base_model_name_or_path"] == "acme/tiny"
    assert str(tmp_path.parent) not in text
    assert config["target_modules"] == sorted(config["target_modules"])
    assert (config["r"], config["lora_alpha"], config["bias"], config["modules_to_save"]) == (8, 32, "none", None)
    tensors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" in tensors
    assert len(tensors) == 2 * 7 * 2
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert (tmp_path / "out" / "adapter_model.safetensors").stat().st_mode & 0o044 == 0o044


def test_the_probe_is_what_peft_computes_from_the_files(train: Train, base_model: Path, tmp_path: Path) -> None:
    probes = finished(train()).probe
    assert len(probes) == 4
    base = cast("Any", AutoModelForCausalLM).from_pretrained(base_model, dtype=torch.float32)
    plain = [_score(base, probe.tokens, probe.start) for probe in probes]
    adapted = cast("Any", PeftModel.from_pretrained(base, str(tmp_path / "out"))).merge_and_unload()
    for probe, expected in zip(probes, plain, strict=True):
        assert len(probe.logprobs) == len(probe.tokens) - probe.start <= 48
        assert probe.base_logprobs == pytest.approx(expected, abs=1e-4)
        assert probe.logprobs == pytest.approx(_score(adapted, probe.tokens, probe.start), abs=1e-3)
        assert sum(probe.logprobs) > sum(probe.base_logprobs) + 1
        # The last scored token is the end of turn: the adapter knows when to stop.
        assert probe.tokens[-1] == 2


def _score(model: Any, tokens: list[int], start: int) -> list[float]:
    with torch.no_grad():
        logprobs = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
    return [float(logprobs[index - 1, tokens[index]]) for index in range(start, len(tokens))]


def test_the_same_run_makes_the_same_bytes(train: Train) -> None:
    assert finished(train("one")).adapter_digest == finished(train("two")).adapter_digest


def test_rows_that_are_too_long_are_reported_by_number(train: Train, tmp_path: Path) -> None:
    long = conversation(1)
    long["messages"][1]["content"] = "very " * 300
    rows = [conversation(number) for number in range(12)]
    events = train(
        rows=RowsFile(str(write_rows(tmp_path / "r", *rows[:5], long, *rows[5:]))),
        recipe=msgspec.structs.replace(RECIPE, max_length=120, epochs=1),
    )
    started = next(event for event in events if isinstance(event, Started))
    assert started.rows == 12
    assert [problem.row for problem in started.dropped] == [6]
    assert "Row 6" in next(event for event in events if isinstance(event, Notice)).message


def test_validation_rows_that_are_too_long_are_reported_and_left_out(train: Train, tmp_path: Path) -> None:
    long = conversation(1)
    long["messages"][1]["content"] = "very " * 300
    events = train(
        validation_rows=RowsFile(str(write_rows(tmp_path / "v", conversation(2), long))),
        recipe=msgspec.structs.replace(RECIPE, max_length=120, epochs=1),
    )
    notices = {event.code: event.message for event in events if isinstance(event, Notice)}
    assert notices["validation_rows_dropped"].startswith("Validation rows were left out. Row 2: It has ")
    assert all(event.metrics.valid_loss is not None for event in events if isinstance(event, Checkpoint))


def test_the_manifest_proves_which_rows_were_learnt(train: Train, rows: Path, tmp_path: Path) -> None:
    validation = write_rows(tmp_path / "v", conversation(2))
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (rows, validation)]
    recipe = msgspec.structs.replace(RECIPE, epochs=1)
    files = [RowsFile(str(file), digest) for file, digest in zip((rows, validation), digests, strict=True)]
    manifest = finished(train(rows=files[0], validation_rows=files[1], recipe=recipe))
    assert [manifest.rows_digest, manifest.validation_rows_digest] == digests
    assert finished(train("plain", recipe=recipe)).validation_rows_digest is None


def test_a_gpu_out_of_memory_ends_a_run_with_a_reason(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(AdaptedModel, "measure", run_out)
    with pytest.raises(TrainingError, match="micro_batch_tokens under 2048") as caught:
        train()
    assert caught.value.code == "out_of_memory"
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("rows", "code", "numbers"),
    [
        ([conversation(1)] * 9, "too_few_rows", []),
        ([conversation(1)] * 11 + ["{", {"messages": []}], "invalid_training_file", [12, 13]),
        ([], "too_few_rows", []),
    ],
)
def test_bad_and_too_few_rows_are_refused(
    train: Train, tmp_path: Path, rows: list[Any], code: str, numbers: list[int]
) -> None:
    with pytest.raises(TrainingError) as caught:
        train(rows=RowsFile(str(write_rows(tmp_path / "r", *rows))))
    assert caught.value.code == code
    assert [problem.row for problem in caught.value.problems] == numbers
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"rows": RowsFile("no/such/file")}, "invalid_training_file"),
        ({"validation_rows": RowsFile("no/such/file")}, "invalid_validation_file"),
        ({"base_model": "no/such/folder"}, "base_model_unusable"),
    ],
)
def test_a_file_that_is_not_there_is_refused(train: Train, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(TrainingError) as caught:
        train(**changes)
    assert caught.value.code == code


def test_a_run_that_learns_nothing_makes_nothing(train: Train, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="changes nothing") as caught:
        train(recipe=Recipe(learning_rate=1e-30, batch_size=12, rank=8, learning_rate_multiplier=1e-30))
    assert caught.value.code == "adapter_unusable"
    assert not list(tmp_path.glob("out*"))
