"""The one error that ends a command with a reason its caller can act on."""


class TrainingError(Exception):
    """Ends the command; becomes the last event, `failed`.

    Attributes:
        code: Stable, machine-readable, such as `too_few_rows`.
        message: What happened, why, and what to do next.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
