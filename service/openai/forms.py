"""A form of theirs as the body that their JSON would be: values as text or JSON, files beside it."""

import json
import re
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from layers.body_errors import BodyRefused, NotAFile
from service.http.bodies import REPEATED, form_of, read_json
from service.http.complaints import Complaint
from service.http.errors import InvalidEdit
from service.openai.bodies import TEXTS, PictureEditRequest

#: Stands for a file in a body until it is read and has an id.
TO_COME = {"file_id": f"img_{0:032}"}
#: Their clients send a list of files under a name with brackets.
_FILES: Mapping[str, str] = {"image": "image", "image[]": "image", "mask": "mask"}
#: How their clients write what is no text: a part for each value, in which numbers look like
#: text, and nothing says where a list's next entry begins.
_BRACKETS = re.compile(r"([^\[]+)\[.*")


async def read_form(request: Request) -> tuple[dict[str, Any], dict[str, UploadFile]]:
    """What a form says, as plain data for `PictureEditRequest`, and its files by "image" and "mask".

    Raises:
        InvalidEdit: with each value that cannot be read.
        BodyRefused: it is no form that brings a picture.
    """
    form = await form_of(request, "image")
    try:
        return _read(form)
    except Exception:
        await form.close()
        raise


def with_files(body: PictureEditRequest, files: Mapping[str, UploadFile]) -> PictureEditRequest:
    """The body of a form, which keeps its files."""
    body._files.update(files)
    return body


def _read(form: FormData) -> tuple[dict[str, Any], dict[str, UploadFile]]:
    said: dict[str, Any] = {}
    files: dict[str, UploadFile] = {}
    complaints = []
    for name, value in form.multi_items():
        if (file := _FILES.get(name)) is not None:
            if isinstance(value, str):
                raise NotAFile(file)
            if file in files:
                detail = "there is more than one picture, and one is edited at a time: send the others apart"
                complaints.append(Complaint.at(file, code="too_many", detail=detail))
            files[file] = value
        elif not isinstance(value, str):
            detail = "this part is a file, and only `image` and `mask` are: send it as text, or leave it out"
            complaints.append(Complaint.at(name, code="unknown_field", detail=detail))
        elif brackets := _BRACKETS.fullmatch(name):
            complaints.append(_not_json(brackets[1]))
        elif name in said:
            complaints.append(Complaint.at(name, code="part_repeated", detail=REPEATED))
        elif name in TEXTS:
            said[name] = value
        else:
            try:
                said[name] = read_json(value.encode("utf-8", "surrogatepass"), "application/json")
            except (BodyRefused, UnicodeError):
                complaints.append(_not_json(name))
    if "image" not in files:
        detail = "this part is needed: add the picture that is to be edited, as a file"
        complaints.append(Complaint.at("image", code="missing_field", detail=detail))
    if complaints:
        raise InvalidEdit(complaints)
    return said | {"images": [TO_COME]} | ({"mask": TO_COME} if "mask" in files else {}), files


def _not_json(name: str) -> Complaint:
    example = json.dumps([{"kind": "refine"}])
    detail = f'in a form this is JSON, as text: such as extra_body={{"edits": json.dumps({example})}} for `edits`'
    return Complaint.at(name, code="value_not_json", detail=detail)
