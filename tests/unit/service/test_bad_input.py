"""Whatever is wrong with a request: a 4xx problem document with a stable code and a pointer into the body."""

import dataclasses
import json

import pytest

LONG = "cat " * 30


def target(**changes) -> dict:
    return {"prompt": "a dog on the beach", "edits": [{"kind": "replace"}], **changes}


def body(**changes) -> dict:
    return {"model": "tiny", "source": {"prompt": "a cat on the beach"}, "targets": [target()], **changes}


def reweight(**weight) -> dict:
    return target(edits=[{"kind": "replace"}, {"kind": "reweight", "weights": [weight]}])


CASES = {
    "an unknown field": (body(seed=3), "/seed", "unknown_field"),
    "an unknown field within": (body(sampling={"sede": 3}), "/sampling/sede", "unknown_field"),
    "an unknown field of an edit": (
        body(targets=[target(edits=[{"kind": "replace", "x": 1}])]),
        "/targets/0/edits/0/x",
        "unknown_field",
    ),
    "a field of an edit called like its kind": (
        body(targets=[target(edits=[{"kind": "replace", "replace": 1}])]),
        "/targets/0/edits/0/replace",
        "unknown_field",
    ),
    "a field with a slash": (body(**{"a/b~c": 1}), "/a~1b~0c", "unknown_field"),
    "no source": ({"model": "tiny", "targets": [target()]}, "/source", "missing_field"),
    "too many seeds of a picture": (
        body(targets=[], sampling={"seeds": [-1] * 4}),
        "/sampling/seeds",
        "too_many_seeds",
    ),
    "an empty prompt": (body(source={"prompt": " "}), "/source/prompt", "too_short"),
    "an empty edited prompt": (body(targets=[target(prompt="")]), "/targets/0/prompt", "too_short"),
    "a prompt of many tokens": (
        body(source={"prompt": LONG}, targets=[target(prompt=LONG)]),
        "/source/prompt",
        "prompt_too_long",
    ),
    "an edited prompt of many tokens": (
        body(targets=[target(prompt=LONG, edits=[{"kind": "refine"}])]),
        "/targets/0/prompt",
        "prompt_too_long",
    ),
    "a negative prompt of many tokens": (
        body(sampling={"negative_prompt": LONG}),
        "/sampling/negative_prompt",
        "prompt_too_long",
    ),
    "replace with more words": (
        body(targets=[target(prompt="a big dog on the beach")]),
        "/targets/0/edits/0",
        "word_counts_differ",
    ),
    "a weighted word that is not there": (
        body(targets=[reweight(word="cat", weight=2)]),
        "/targets/0/edits/1/weights/0/word",
        "word_not_found",
    ),
    "an occurrence that is not there": (
        body(targets=[reweight(word="dog", occurrence=2, weight=2)]),
        "/targets/0/edits/1/weights/0/occurrence",
        "word_not_found",
    ),
    "a weight out of range": (
        body(targets=[reweight(word="dog", weight=1000)]),
        "/targets/0/edits/1/weights/0/weight",
        "out_of_range",
    ),
    "a blended word that is not there": (
        body(targets=[target(local_blend={"words": [{"word": "zebra"}]})]),
        "/targets/0/local_blend/words/0/word",
        "word_not_found",
    ),
    "more seeds than the model takes with so many targets": (
        body(targets=[target(), target()], sampling={"seeds": [1, 2]}),
        "/sampling/seeds",
        "too_many_seeds",
    ),
    "a seed that is no seed": (body(sampling={"seeds": [1, -2]}), "/sampling/seeds/1", "out_of_range"),
    "a seed twice": (body(sampling={"seeds": [1, 1]}), "/sampling/seeds/1", "seed_repeated"),
    "a seed and seeds": (body(sampling={"seed": 1, "seeds": [1, 2]}), "/sampling/seed", "seeds_conflict"),
    "a format that is none": (body(artifacts={"format": "gif"}), "/artifacts/format", "literal_error"),
    "a scheduler that is none": (body(sampling={"scheduler": "dpm"}), "/sampling/scheduler", "literal_error"),
    "a window beyond the run": (
        body(targets=[target(cross_window={"stop": 1.5})]),
        "/targets/0/cross_window/stop",
        "window_outside_run",
    ),
    "a window before the run": (
        body(targets=[target(self_window={"start": -0.5})]),
        "/targets/0/self_window/start",
        "out_of_range",
    ),
    "a window that ends before it starts": (
        body(targets=[target(cross_window={"start": 0.9, "stop": 0.1})]),
        "/targets/0/cross_window",
        "window_reversed",
    ),
    "an unknown kind of edit": (
        body(targets=[target(edits=[{"kind": "paint"}])]),
        "/targets/0/edits/0",
        "unknown_edit_kind",
    ),
    "an edit without a kind": (body(targets=[target(edits=[{}])]), "/targets/0/edits/0", "missing_edit_kind"),
    "an edit that is no object": (body(targets=[target(edits=["replace"])]), "/targets/0/edits/0", "wrong_type"),
    "targets that are no list": (body(targets="dog"), "/targets", "wrong_type"),
    "a body that is a list": ([1], "", "wrong_type"),
    "too many targets": (body(targets=[target()] * 4), "/targets", "too_many_targets"),
    "far too many targets": (body(targets=[target()] * 65), "/targets", "too_many"),
    "too many edits": (body(targets=[target(edits=[{"kind": "replace"}] * 9)]), "/targets/0/edits", "too_many"),
    "too many steps": (body(sampling={"steps": 401}), "/sampling/steps", "too_many_steps"),
    "no steps": (body(sampling={"steps": 0}), "/sampling/steps", "out_of_range"),
    "steps in words": (body(sampling={"steps": "many"}), "/sampling/steps", "wrong_type"),
    "a size that is not offered": (body(sampling={"height": 64}), "/sampling/height", "size_not_offered"),
    "a width that is not offered": (body(sampling={"width": 64}), "/sampling/width", "size_not_offered"),
    "an unknown model": (body(model="dall-e"), "/model", "unknown_model"),
    "a model's name that is none": (body(model="../etc"), "/model", "string_pattern_mismatch"),
}


@pytest.mark.parametrize(("sent", "pointer", "code"), CASES.values(), ids=CASES.keys())
def test_a_bad_field_is_pointed_at(client, parts, sent, pointer, code):
    response = client.post("/v1/edits", json=sent)

    problem = response.json()
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["code"] in {"invalid_request", "invalid_edit"}
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in problem["errors"]]
    assert problem["errors"][0]["detail"] in problem["detail"]
    assert parts.store._records == {}


@pytest.mark.parametrize("name", [name for name in CASES if name not in {"no source", "a field with a slash"}])
def test_every_pointer_leads_to_something_that_was_sent(client, name):
    sent, _, _ = CASES[name]

    for error in client.post("/v1/edits", json=sent).json()["errors"]:
        found = sent
        for part in error["pointer"].replace("~1", "/").replace("~0", "~").split("/")[1:]:
            found = found[int(part) if isinstance(found, list) else part]


def test_a_wrong_target_is_not_also_called_a_missing_one(client):
    problem = client.post("/v1/edits", json=body(targets=[target(prompt="")])).json()

    assert [error["pointer"] for error in problem["errors"]] == ["/targets/0/prompt"]


def test_everything_wrong_with_a_model_is_said_at_once(client):
    sent = body(sampling={"steps": 401, "height": 8}, source={"prompt": LONG}, targets=[target(prompt=LONG)])

    problem = client.post("/v1/edits", json=sent).json()

    pointers = [error["pointer"] for error in problem["errors"]]
    assert pointers == ["/sampling/steps", "/sampling/height", "/source/prompt", "/targets/0/prompt"]


def test_a_body_of_nothing_but_mistakes_gets_a_short_answer(client):
    response = client.post("/v1/edits", json={f"field-{n}" * 20: n for n in range(1000)})

    assert len(response.json()["errors"]) == 32
    assert len(response.content) < 32_000


@pytest.mark.parametrize("text", ["{", "", "{'model': 1}", '{"a": 1', "\ufeff{}", "[" * 100_000])
def test_a_body_that_is_not_json_is_refused(client, text):
    response = client.post("/v1/edits", content=text, headers={"content-type": "application/json"})

    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code in {400, 422}
    assert response.json()["code"] in {"not_json", "empty_body", "json_limit", "invalid_request"}


def test_bytes_that_are_no_text_are_refused(client):
    response = client.post("/v1/edits", content=b'{"a": "\xff"}', headers={"content-type": "application/json"})

    assert (response.status_code, response.json()["code"]) == (400, "not_utf8")


@pytest.mark.parametrize("text", ['{"\\ud800": 1}', '{"model": "\\ud800"}'])
def test_what_json_can_say_and_utf8_cannot_is_refused(client, text):
    response = client.post("/v1/edits", content=text, headers={"content-type": "application/json"})

    assert response.status_code == 422


def test_json_that_is_not_called_json_is_refused(client, edit):
    response = client.post("/v1/edits", content=json.dumps(edit), headers={"content-type": "text/plain"})

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_a_body_that_is_too_large_is_refused(serve, edit):
    client = serve(max_body_bytes=1000)
    edit["source"]["prompt"] = "cat " * 1000

    response = client.post("/v1/edits", json=edit)

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert response.headers["content-type"] == "application/problem+json"


def test_a_body_that_is_too_large_and_does_not_say_so_is_refused(serve):
    client = serve(max_body_bytes=1000)

    response = client.post(
        "/v1/edits", content=(b" " * 400 for _ in range(4)), headers={"content-type": "application/json"}
    )

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("method", "address", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/edits/", 404, "not_found"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("PATCH", "/v1/edits", 405, "method_not_allowed"),
    ],
)
def test_an_address_that_is_none_is_a_problem_too(client, method, address, status, code):
    response = client.request(method, address, follow_redirects=False)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert set(response.json()) == {"type", "title", "status", "detail", "instance", "code"}
    assert response.json()["instance"] == address


@pytest.mark.parametrize(
    ("address", "methods"),
    [
        ("/v1/edits", "GET, HEAD, POST"),
        (f"/v1/edits/{'0' * 32}", "DELETE, GET, HEAD, PUT"),
        ("/v1/edits/mine/deliveries", "GET, HEAD, POST"),
        ("/metrics", "GET, HEAD"),
    ],
)
def test_what_an_address_does_not_take_says_all_that_it_takes(client, address, methods):
    response = client.patch(address)

    assert (response.status_code, response.headers["allow"]) == (405, methods)


def test_a_failure_of_our_own_says_nothing_about_us(client, parts, monkeypatch):
    monkeypatch.setattr(parts.store, "look", lambda _: 1 / 0)

    response = client.get(f"/v1/edits/{'0' * 32}")

    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert "ZeroDivision" not in response.text


@pytest.mark.parametrize(
    ("name", "code"),
    [("cat", "word_not_found"), ("\u732b", "word_within_token")],
)
def test_a_name_that_is_only_a_part_of_something_says_of_what(client, parts, name, code, monkeypatch):
    """Real tokenizers join characters of scripts without spaces; the tiny one is made to."""
    tokenized = type(parts.plane.counters["tiny"]).tokenized

    def joined(self, prompt, limit):
        tokens = tokenized(self, prompt, limit)
        at = prompt.find("\u732b\u5728")
        spans = [(at, at + 2) if left in (at, at + 1) else (left, right) for left, right in tokens.spans]
        return dataclasses.replace(tokens, spans=tuple(spans))

    monkeypatch.setattr(type(parts.plane.counters["tiny"]), "tokenized", joined)
    prompt = "a caterpillar \u732b\u5728\u4e0a"
    edits = [{"kind": "reweight", "weights": [{"word": name, "weight": 2}]}]
    sent = body(source={"prompt": prompt}, targets=[{"prompt": prompt, "edits": edits}])

    (error,) = client.post("/v1/edits", json=sent).json()["errors"]

    assert (error["pointer"], error["code"]) == ("/targets/0/edits/0/weights/0/word", code)
    assert "caterpillar" in error["detail"] or "'\u732b\u5728|\u4e0a'" in error["detail"]
