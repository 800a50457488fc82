"""Evaluation: questions asked in several variants, answers scored for style, facts and citations, with intervals."""

from gateway.evaluation.answers import Answer, Variant, ask
from gateway.evaluation.estimate import Estimate, estimate_mean, estimate_share
from gateway.evaluation.facts import cites_only, normalize, score_facts, states
from gateway.evaluation.run import EvaluationCase, evaluate
from gateway.evaluation.scoring import FactQuestion, ScoredAnswer, VariantResult, score_answer, summarise
from gateway.evaluation.style import StyleRule, StyleRules, split_sentences

__all__ = [
    "Answer",
    "Estimate",
    "EvaluationCase",
    "FactQuestion",
    "ScoredAnswer",
    "StyleRule",
    "StyleRules",
    "Variant",
    "VariantResult",
    "ask",
    "cites_only",
    "estimate_mean",
    "estimate_share",
    "evaluate",
    "normalize",
    "score_answer",
    "score_facts",
    "split_sentences",
    "states",
    "summarise",
]
