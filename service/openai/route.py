"""The route of these addresses: JSON or a form, the key before either, and errors in OpenAI's shape."""

from typing import Any, cast

from fastapi import Request, Response
from pydantic import BaseModel
from starlette.routing import Match
from starlette.types import Scope

from service.http.bodies import refuse_encoded
from service.http.body_models import MANY_VALUES, BodyModel
from service.http.dependencies import caller_of_request
from service.http.direct import DirectRoute
from service.http.keyed import Answering
from service.http.leaving import not_begun_once_gone
from service.openai.bodies import PictureEditRequest
from service.openai.errors import in_their_shape
from service.openai.forms import read_form, with_files


class OpenAiRoute(DirectRoute):
    """A route whose function answers with a `Response`; an edit's body may be a form."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whatever the method is, the address is this route's: "edits" is no image's id."""
        match, child = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL else match), child

    def get_route_handler(self) -> Answering:
        """As its function answers, or in their shape what is wrong."""
        of_json, called = super().get_route_handler(), self.calling()
        (field,) = self.dependant.body_params
        model = BodyModel(cast(type[BaseModel], field.field_info.annotation))
        takes_forms = field.field_info.annotation is PictureEditRequest

        async def of_form(request: Request) -> Response:
            await caller_of_request(request)
            refuse_encoded(request)
            said, files = await read_form(request)
            not_begun_once_gone(request.receive)
            try:
                request._json = with_files(cast(PictureEditRequest, model.read(said, MANY_VALUES)), files)
                return await called(request)
            finally:
                await request.close()

        async def answered(request: Request) -> Any:
            is_form = takes_forms and request.headers.get("Content-Type", "").lower().startswith("multipart/form-data")
            try:
                return await (of_form if is_form else of_json)(request)
            except Exception as error:
                return await in_their_shape(request, error)

        self._answered = answered
        return answered
