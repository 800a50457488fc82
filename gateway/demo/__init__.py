"""The demo: two tenants with documents, conversations and questions, and the program that runs them on real models."""

from gateway.demo.conversations import Conversation
from gateway.demo.tenants import DemoQuestion, Document, Edit, Tenant, tenants

__all__ = ["Conversation", "DemoQuestion", "Document", "Edit", "Tenant", "tenants"]
