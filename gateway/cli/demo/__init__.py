"""The demo's content and how its answers are scored; the program that runs it drives these."""

from gateway.cli.demo.conversations import Conversation
from gateway.cli.demo.estimate import Estimate, mean, share
from gateway.cli.demo.facts import cited_correctly, fact_score
from gateway.cli.demo.style import House, Rule
from gateway.cli.demo.tenants import Document, Edit, Question, Tenant, tenants

__all__ = [
    "Conversation",
    "Document",
    "Edit",
    "Estimate",
    "House",
    "Question",
    "Rule",
    "Tenant",
    "cited_correctly",
    "fact_score",
    "mean",
    "share",
    "tenants",
]
