"""The errors of this library, each with a message that says what to do."""

__all__ = ["ContextTooLong", "NoQuestion", "PromptError", "TemplateFailed", "TemplateInvalid"]


class PromptError(Exception):
    """Base of everything this library raises on purpose; `message` is fit to be shown to the template's author."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TemplateInvalid(PromptError):
    """The source can't become a template. `line` counts from 1 in the source."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


class TemplateFailed(PromptError):
    """A valid template can't be rendered with these values. `line` is None where no single line is to blame."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"line {line}: {message}")
        self.line = line


class NoQuestion(PromptError):
    """The conversation holds no user message, so there is nothing to answer."""

    def __init__(self) -> None:
        super().__init__(
            "the messages hold no question, because none of them has the role 'user'; add the user's message"
        )


class ContextTooLong(PromptError):
    """Not even the parts that can't be dropped fit. Both figures are tokens as the caller counted them."""

    def __init__(self, needed: int, budget: int) -> None:
        super().__init__(
            f"the prompt needs {needed} tokens and {budget} are free, counted without passages and earlier turns, "
            "which may be dropped; shorten the system text or the question, or ask for fewer output tokens"
        )
        self.needed = needed
        self.budget = budget
