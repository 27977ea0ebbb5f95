"""What strangers send and is not taken."""


class Refusal(Exception):
    """Base of errors about a part of a request, told apart by their codes.

    Attributes:
        code: a row of `process/errors.toml`. The message says what was given, what was needed and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
