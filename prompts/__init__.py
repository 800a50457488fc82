"""From a versioned template, passages and a conversation to the messages for an engine. Pure: no I/O, no tenant.

The values are `msgspec.Struct`s although they stay in the process, because each request makes dozens of them: with
frozen dataclasses a draft took 96 µs instead of 77.
"""

from prompts._syntax import MAX_SOURCE
from prompts.conversation import ConversationParts, Message, Role, split
from prompts.default import DEFAULT
from prompts.draft import EVIDENCE_LAYOUT, Draft, NumberedPassage, Part, Rendering, Segment, draft, render_row
from prompts.errors import ContextTooLong, NoQuestion, PromptError, TemplateFailed, TemplateInvalid
from prompts.markers import GENERIC, Markers, find_generic
from prompts.template import Template, compile

__all__ = [
    "DEFAULT",
    "EVIDENCE_LAYOUT",
    "GENERIC",
    "MAX_SOURCE",
    "ContextTooLong",
    "ConversationParts",
    "Draft",
    "Markers",
    "Message",
    "NoQuestion",
    "NumberedPassage",
    "Part",
    "PromptError",
    "Rendering",
    "Role",
    "Segment",
    "Template",
    "TemplateFailed",
    "TemplateInvalid",
    "compile",
    "draft",
    "find_generic",
    "render_row",
    "split",
]
