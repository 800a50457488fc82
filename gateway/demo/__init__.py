"""The demo: two tenants with documents, conversations and questions, and the program that runs them on real models."""

from gateway.demo.conversations import DemoRow
from gateway.demo.tenants import DemoDocument, DemoQuestion, DemoTenant, Edit, make_tenants

__all__ = ["DemoDocument", "DemoQuestion", "DemoRow", "DemoTenant", "Edit", "make_tenants"]
