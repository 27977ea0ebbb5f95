"""What is wrong with an edit, said of the fields in which its sender has asked for it.

OpenAI's clients and agents have words of their own for parts of an edit. Complaints point at those.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from fastapi.exceptions import RequestValidationError

from service.http.complaints import complaints_about
from service.http.errors import InvalidEdit


class NotAsTaken(InvalidEdit):
    """The edit is not well formed."""

    code = "invalid_request"


@contextmanager
def in_their_words(theirs: Callable[[str], str]) -> Iterator[None]:
    """What is wrong with an edit within the block is raised as `InvalidEdit` that points at its sender's fields.

    Args:
        theirs: gives the pointer to the field that a part of the edit comes from, by the pointer to that part.
    """
    kind, found = InvalidEdit, None
    try:
        yield
    except InvalidEdit as error:
        found = error.complaints
    except RequestValidationError as error:
        kind, found = NotAsTaken, complaints_about(error.errors())
    if found is not None:
        raise kind([replace(each, pointer=theirs(each.pointer)) for each in found])
