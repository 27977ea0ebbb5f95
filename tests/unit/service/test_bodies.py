"""A body that cannot be read is told what it is and what to send instead, on every address and on either way."""

import gzip
import json

import pytest
from PIL import Image

from service.http.bodies import MAX_DEPTH, MAX_DIGITS, depth_of
from tests import bodies
from tests.hostile import file_of

JSON, WHOLE = "application/json", "application/json; charset=utf-8"
PNG = file_of(Image.new("RGB", (40, 30)), "PNG")
#: Every address that takes JSON.
ADDRESSES = [("POST", "/v1/edits"), ("PUT", "/v1/edits/mine"), ("POST", "/v1/batches"), ("POST", "/v1/inversions"),
             ("POST", "/v1/alignments")]  # fmt: skip
EDIT = json.dumps(bodies.without(bodies.EDIT, ("webhook",))).encode()


def nested(levels: int) -> bytes:
    return b'{"model": ' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def of_digits(digits: int) -> bytes:
    return b'{"start_within": ' + b"9" * digits + b"}"


#: A body, the status and code of its answer, and what the answer must say.
UNREADABLE = {
    "empty": (b"", 400, "empty_body", "send a JSON object"),
    "white space": (b"  \n", 400, "not_json", "line 2, column 1"),
    "half a body": (b'{"a": ', 400, "not_json", "line 1, column 7"),
    "python": (b"{'a': 1}", 400, "not_json", "double quotes"),
    "a trailing comma": (b'{"a": 1,}', 400, "not_json", "line 1"),
    "two values": (b"{} {}", 400, "not_json", "Extra data"),
    "NaN": (b'{"sampling": {"guidance_scale": NaN}}', 400, "not_json", "NaN"),
    "infinity": (b'{"sampling": {"guidance_scale": -Infinity}}', 400, "not_json", "-Infinity"),
    "a tab in a string": (b'{"a": "\t"}', 400, "not_json", "control character"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), 400, "not_utf8", "UTF-16"),
    "UTF-16 without a mark": ('{"a": 1}'.encode("utf-16-le"), 400, "not_utf8", "UTF-16"),
    "UTF-16 the other way": ('{"a": 1}'.encode("utf-16-be"), 400, "not_utf8", "UTF-16"),
    "UTF-32": ('{"a": 1}'.encode("utf-32"), 400, "not_utf8", "UTF-32"),
    "latin-1": ('{"a": "ä"}'.encode("latin-1"), 400, "not_utf8", "byte 8"),
    "5,000 digits": (of_digits(5000), 400, "json_limit", f"5000 digits, and at most {MAX_DIGITS}"),
    "one digit too many": (of_digits(MAX_DIGITS + 1), 400, "json_limit", "digits"),
    "5,000 digits of nothing else": (b"9" * 5000, 400, "json_limit", "digits"),
    "2,000 levels": (nested(2000), 400, "json_limit", f"2000 levels deep, and at most {MAX_DEPTH}"),
    "one level too many": (nested(MAX_DEPTH + 1), 400, "json_limit", "levels"),
    "objects in objects": (b'{"a": ' * 500 + b"1" + b"}" * 500, 400, "json_limit", "500 levels"),
    # Looked at once from each quotation mark, it would take minutes.
    "a string without end": (b"[" * 200 + b'"' + b'\\"' * 100_000, 400, "json_limit", "200 levels"),
    "brackets without end": (b"[" * 100_000, 400, "json_limit", "levels"),
}


@pytest.mark.parametrize("content_type", [JSON, WHOLE, "application/merge-patch+json"])
@pytest.mark.parametrize(("body", "status", "code", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_told_why(client, body, status, code, said, content_type):
    for method, address in ADDRESSES:
        answer = client.request(method, address, content=body, headers={"Content-Type": content_type})

        assert (answer.status_code, answer.json()["code"]) == (status, code), address
        assert said in answer.json()["detail"]


#: Valid JSON that is no edit: a matter of fields, wherever it is read.
READABLE = {
    "the most levels": nested(MAX_DEPTH),
    "the most digits": of_digits(MAX_DIGITS),
    "a number beyond all floats": b'{"sampling": {"guidance_scale": 1e400}}',
    "400 digits where a float is needed": b'{"sampling": {"guidance_scale": ' + b"9" * 400 + b"}}",
    "a fraction of 5,000 digits": b'{"sampling": {"guidance_scale": 60.' + b"3" * 5000 + b"}}",
    "half a pair of surrogates": b'{"source": {"prompt": "\\ud800"}}',
    "half a pair in a name": b'{"\\udc00": 1}',
    "brackets in a string": json.dumps({"model": "[{" * 300 + '\\"'}).encode(),
    "null": b"null",
    "a list": b"[]",
    "a number": b"5",
    "a string": b'"edit"',
}


@pytest.mark.parametrize("body", READABLE.values(), ids=READABLE)
def test_valid_json_is_never_called_no_json(client, body):
    for method, address in ADDRESSES:
        for content_type in (JSON, WHOLE):
            answer = client.request(method, address, content=body, headers={"Content-Type": content_type})

            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text
            assert answer.json()["errors"]


@pytest.mark.parametrize("body", [b"null", b"[]", b"5", b'"edit"'])
def test_a_body_that_is_no_object_is_told_that_it_must_be_one(client, body):
    problem = client.post("/v1/edits", content=body, headers={"Content-Type": JSON}).json()

    assert problem["errors"] == [{"pointer": "", "code": "wrong_type", "detail": "must be a JSON object"}]


@pytest.mark.parametrize("body", [each[0] for each in UNREADABLE.values()] + [*READABLE.values()])
def test_a_character_set_that_is_named_changes_no_answer(client, body):
    fast, whole = (client.post("/v1/edits", content=body, headers={"Content-Type": each}) for each in (JSON, WHOLE))

    assert (fast.status_code, fast.json()) == (whole.status_code, whole.json())
    assert fast.headers.keys() == whole.headers.keys()


@pytest.mark.parametrize("content_type", [JSON, WHOLE], ids=["alone", "with its charset"])
@pytest.mark.parametrize(
    "changed",
    [
        lambda text: b"\xef\xbb\xbf" + text,  # a byte order mark
        lambda text: text.replace(b'"seed": 7', b'"seed": 3, "seed": 7'),  # a name twice: the last one counts
        lambda text: text.replace(b'"seed": 7', b'"seed": 7.0'),
        lambda text: b"\n\t " + text + b"\r\n",
        lambda text: text.replace(b"a cat", b"a \\u0063at"),
    ],
)
def test_other_ways_to_write_the_same_json_are_the_same_edit(client, edit, content_type, changed):
    body = json.dumps({**edit, "sampling": {"seed": 7}}).encode()

    answer = client.post("/v1/edits", content=changed(body), headers={"Content-Type": content_type})

    assert answer.status_code == 202, answer.text
    spec = client.get(answer.json()["links"]["self"]).json()["spec"]
    assert (spec["sampling"]["seed"], spec["source"]["prompt"]) == (7, edit["source"]["prompt"])


@pytest.mark.parametrize(
    ("content_type", "said"),
    [
        (None, "without a Content-Type"),
        ("text/plain", "not declared as JSON"),
        ("text/json", "not declared as JSON"),
        ("application/x-www-form-urlencoded", "not declared as JSON"),
        ("multipart/form-data; boundary=x", "not declared as JSON"),
        ("json", "not declared as JSON"),
        ("application/json; charset=iso-8859-1", "UTF-8"),
        ("application/json; charset=utf-16", "UTF-8"),
        ("application/json; charset=rubbish", "UTF-8"),
    ],
)
def test_another_type_is_told_which_one_to_send(client, content_type, said):
    headers = {} if content_type is None else {"Content-Type": content_type}
    for method, address in ADDRESSES:
        answer = client.request(method, address, content=EDIT, headers=headers)

        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
        assert said in answer.json()["detail"]
        assert "application/json" in answer.json()["detail"]
        assert answer.headers["Accept"] == "application/json"


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8", "US-ASCII"])
def test_utf8_may_be_declared_in_any_way(client, edit, charset):
    headers = {"Content-Type": f"application/json; charset={charset}"}

    assert client.post("/v1/edits", content=json.dumps(edit), headers=headers).status_code == 202


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "zstd", "gzip, identity", "rubbish"])
def test_a_compressed_body_is_told_to_come_as_it_is(client, coding):
    sent = [(method, address, gzip.compress(EDIT), JSON) for method, address in ADDRESSES]
    sent.append(("POST", "/v1/images", gzip.compress(PNG), "multipart/form-data; boundary=x"))
    for method, address, body, content_type in sent:
        headers = {"Content-Type": content_type, "Content-Encoding": coding}
        answer = client.request(method, address, content=body, headers=headers)

        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_encoding")
        assert answer.headers["Accept-Encoding"] == "identity"


def test_identity_is_no_encoding(client, edit):
    headers = {"Content-Type": JSON, "Content-Encoding": "identity"}

    assert client.post("/v1/edits", content=json.dumps(edit), headers=headers).status_code == 202


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"image": "aGk="}', JSON),
        (PNG, "image/png"),
        (PNG, "application/octet-stream"),
        (b"image=hello", "application/x-www-form-urlencoded"),
        (PNG, None),
        (b"", None),
        (b"", JSON),
        (b"--x--", "multipart/mixed; boundary=x"),
    ],
)
def test_a_picture_that_is_not_sent_as_a_form_is_told_how_to_send_it(client, body, content_type):
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = client.post("/v1/images", content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "multipart/form-data" in answer.json()["detail"]
    assert "curl -F image=@photo.png" in answer.json()["detail"]
    assert answer.headers["Accept"] == "multipart/form-data"


def form(disposition: str, content: bytes) -> dict:
    head = f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()
    return {
        "content": head + content + b"\r\n--x--\r\n",
        "headers": {"Content-Type": "multipart/form-data; boundary=x"},
    }


@pytest.mark.parametrize("content", [b"hello", PNG, b"x" * 2_000_000], ids=["text", "a picture", "long"])
@pytest.mark.parametrize("disposition", ['name="image"', "name=\"image\"; filename*=UTF-8''caf%C3%A9.png"])
def test_a_part_without_a_file_name_is_told_to_come_as_a_file(client, disposition, content, parts):
    answer = client.post("/v1/images", **form(disposition, content))

    assert (answer.status_code, answer.json()["code"]) == (400, "not_a_file")
    assert "curl -F image=@photo.png" in answer.json()["detail"]
    assert parts.images.kept == {}


@pytest.mark.parametrize(
    "disposition", ['name="image"; filename="café.png"', 'name="image"; filename="a.png"; filename*=UTF-8\'\'b.png']
)
def test_a_part_with_a_file_name_is_a_file_whatever_else_it_says(client, disposition):
    assert client.post("/v1/images", **form(disposition, PNG)).status_code == 201


def test_half_a_form_is_still_no_form(client):
    headers = {"Content-Type": "multipart/form-data"}
    answer = client.post("/v1/images", content=b"--x\r\n", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "not_multipart")


@pytest.mark.parametrize("content_type", [JSON, WHOLE])
def test_addresses_without_a_body_take_whatever_comes(client, edit, content_type):
    address = client.post("/v1/edits", json=edit).headers["Location"]

    answer = client.post(f"{address}/cancel", content=b"rubbish", headers={"Content-Type": content_type})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("text", "depth"), [("", 0), ("1", 0), ("[]", 1), ('{"a": [[], {}]}', 3), (r'["[[", "\"[", "\\"]', 1), ("]]][", 0)]
)
def test_depth_is_that_of_arrays_and_objects_outside_of_strings(text, depth):
    assert depth_of(text) == depth
