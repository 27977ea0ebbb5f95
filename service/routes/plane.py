"""How a route gets at what it works with."""

from typing import Annotated

from fastapi import Depends, Request

from service.submit import Plane


def _plane(request: Request) -> Plane:
    return request.app.state.plane


PlaneOfApp = Annotated[Plane, Depends(_plane)]
