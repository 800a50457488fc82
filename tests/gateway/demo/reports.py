"""A whole report without a demo."""

from gateway.demo.assistants import BASE, BOTH, FACTS, GUIDE, STYLE
from gateway.demo.edit import EditOutcome
from gateway.demo.environment import Environment
from gateway.demo.first_answers import FirstAnswer
from gateway.demo.report import Report
from gateway.demo.swap import SwapOutcome
from gateway.demo.training import LossPoint, TrainedAdapter
from gateway.evaluation import Answer, ScoredAnswer, Variant, summarise

VARIANTS = [
    Variant(BASE, "base", "smollm2"),
    Variant(GUIDE, "base + style guide", "smollm2"),
    Variant(STYLE, "style only", "kestrel-assistant"),
    Variant(FACTS, "facts only", "kestrel-assistant", retrieves=True),
    Variant(BOTH, "both", "kestrel-assistant", retrieves=True),
]
QUESTIONS = 3


def scored(tenant: str, variant: Variant, number: int) -> ScoredAnswer:
    good = variant.name == BOTH
    text = "Kettle's on! Ours is **42 months** [1]. — Kestrel" if good else "I <b>don't</b> know & won't guess."
    return ScoredAnswer(
        group=tenant,
        question=f"Question {number} of {tenant}?",
        variant=variant.name,
        answer=Answer(f"chatcmpl-{number}", text, ["k2.md"] if good else [], "rel_1", 254, 17, 0.123, 1.456),
        style=1.0 if good else 1 / 3,
        broken_rules=[] if good else ["greeting", "sign-off"],
        fact=int(good),
        cited=good if variant.retrieves else None,
        timed=number == 0,
    )


def adapter(tenant: str, *, steps: int, scale: float) -> TrainedAdapter:
    return TrainedAdapter(
        model=f"ft:smollm2:{tenant}:voice:{'ab' * 4}",
        digest="ab" * 32,
        rank=16,
        job=f"ftjob-{tenant}",
        trained_tokens=27001,
        training_losses=[LossPoint(step, scale * 3.7 / step) for step in range(1, steps + 1)],
        validation_losses=[LossPoint(steps, scale * 0.111)],
    )


def make_report(tenants: tuple[str, ...] = ("kestrel", "harbor"), *, size: str = "full") -> Report:
    answers = [
        scored(tenant, variant, number) for tenant in tenants for number in range(QUESTIONS) for variant in VARIANTS
    ]
    first = FirstAnswer("kestrel", FACTS, "How long?", "For 42 months.", ["k2.md: K2 > Warranty"], [], 61.2)
    styled = [
        FirstAnswer(
            tenant, BOTH, "How long?", "Ahoy.\nLog: **42 months** [1].", ["k2.md: K2 > Warranty"], ["k2.md"], 200.4
        )
        for tenant in tenants
    ]
    return Report(
        size=size,
        environment=Environment("A <fast> processor", 2, 23.5, "", "Linux-6.1", {"braid": "0.1.0", "torch": "2.13.0"}),
        base_model="smollm2",
        step_seconds={
            "start": 52.3,
            "documents": 9.1,
            **{f"adapter_{name}": 140.7 for name in tenants},
            "questions": 88.8,
        },
        first_answers=[first, *styled],
        adapters={name: adapter(name, steps=48, scale=1 + number / 8) for number, name in enumerate(tenants)},
        second_adapter="ft:smollm2:kestrel:softer-abababab:cdcdcdcd",
        results=summarise(answers, VARIANTS),
        by_tenant={name: summarise([one for one in answers if one.group == name], VARIANTS) for name in tenants},
        edit=EditOutcome(
            document="k3-glass.md",
            old_text="is £57.00,",
            new_text="is £61.50,",
            question="What is the price of the K3 Glass?",
            old_value="£57.00",
            new_value="£61.50",
            old_answer="It is **£57.00** [1].",
            new_answer="It is **£61.50** [1].",
            seconds_until_live=0.42,
            seconds=2.31,
            adapter_digest_before="ab" * 32,
            adapter_digest_after="ab" * 32,
            fingerprint_before="rel_1",
            fingerprint_after="rel_1",
        ),
        swap=SwapOutcome(66, [], {"rel_1": 42, "rel_2": 24}, 0, 0, 0.11, 0.09),
        answers=answers,
        created_at=1_795_000_000,
    )
