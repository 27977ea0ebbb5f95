"""Which errors a route may answer with, as FastAPI takes them."""

from typing import Any

from service.http.errors import Problem, phrase_of


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's `responses`: which errors it may answer with."""
    return {status: {"model": Problem, "description": phrase_of(status)} for status in statuses}
