"""Edits that name no settings: two prompts are enough."""

import pytest


def edit(source="a cat on the beach", prompt="a dog on the beach", **target) -> dict:
    return {"model": "tiny", "source": {"prompt": source}, "targets": [{"prompt": prompt, **target}]}


def posted(client, body: dict, **headers) -> dict:
    answer = client.post("/v1/edits", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return client.get(answer.json()["links"]["self"]).json()


def test_two_prompts_are_enough_and_the_answer_says_what_was_chosen(client):
    (chosen,) = posted(client, edit())["chosen"]

    assert chosen["picture"] == 1
    assert chosen["change"] == [{"kind": "thing", "source_words": ["cat"], "words": ["dog"], "about": []}]
    assert chosen["says"] == "dog for cat; the rest is kept"
    assert chosen["edits"] == [{"kind": "replace"}]
    assert chosen["local_blend"]["words"] == [{"word": "dog", "occurrence": None}]


def test_what_was_chosen_can_be_copied_into_a_request(client):
    automatic = posted(client, edit())
    fields = ("edits", "cross_window", "self_window", "local_blend")

    copied = posted(client, edit(**{name: automatic["chosen"][0][name] for name in fields}))

    assert copied["spec"]["targets"] == automatic["spec"]["targets"]
    assert copied["chosen"] == []


def test_what_was_said_is_not_among_what_was_chosen(client):
    (chosen,) = posted(client, edit(self_window={"stop": 0.4}))["chosen"]

    assert chosen["self_window"] is None
    assert chosen["cross_window"] is not None


def test_only_the_pictures_without_edits_have_something_chosen(client):
    body = edit()
    body["targets"].insert(0, {"prompt": "a red cat on the beach", "edits": [{"kind": "refine"}]})

    assert [each["picture"] for each in posted(client, body)["chosen"]] == [2]


def test_prompts_that_share_nothing_run_by_the_prompt_alone_and_are_told_so(client):
    seen = posted(client, edit(prompt="two red dogs"))

    assert [(n["code"], n["pointer"]) for n in seen["notices"]] == [("prompts_unrelated", "/targets/0/prompt")]
    assert seen["spec"]["targets"][0]["edits"] == []
    assert seen["chosen"][0]["says"].startswith("the prompts have nothing in common")


@pytest.mark.parametrize(
    ("target", "code", "pointer"),
    [
        ({"prompt": "a cat on the beach"}, "prompts_equal", "/targets/0/prompt"),
        ({"edits": [], "cross_window": {"stop": 0.5}}, "window_without_edits", "/targets/0/cross_window"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_field(client, target, code, pointer):
    answer = client.post("/v1/edits", json=edit(**target))

    assert answer.status_code == 422
    assert [(each["code"], each["pointer"]) for each in answer.json()["errors"]] == [(code, pointer)]


def test_a_retry_that_says_what_is_chosen_is_the_same_request(client):
    """A window that is the default of explicit edits is not what is chosen for an addition."""
    addition = edit(prompt="a cat and a dog on the beach")
    first = posted(client, addition, **{"Idempotency-Key": "one"})

    assert posted(client, addition, **{"Idempotency-Key": "one"})["id"] == first["id"]
    addition["targets"][0]["cross_window"] = {"stop": 0.4}
    assert client.post("/v1/edits", json=addition, headers={"Idempotency-Key": "one"}).status_code in (409, 422)


def test_of_a_changed_place_the_line_says_what_stays(client):
    """The whole picture may change but for what is named: the rest is not kept."""
    (chosen,) = posted(client, edit(prompt="a cat on the lawn", keep="things"))["chosen"]

    assert chosen["says"] == "place: lawn; cat stays as it is"
    assert [name["word"] for name in chosen["local_blend"]["source_subtract_words"]] == ["cat"]


def test_what_is_kept_is_refused_beside_settings_of_ones_own(client):
    refused = client.post(
        "/v1/edits", json=edit(prompt="a cat on the lawn", keep="things", edits=[{"kind": "replace"}])
    )

    assert refused.status_code == 422
    assert [(e["code"], e["pointer"]) for e in refused.json()["errors"]] == [("keep_with_settings", "/targets/0/keep")]


def test_a_weight_beside_two_prompts_keeps_the_region_that_is_chosen(client):
    seen = posted(client, edit(weights=[{"word": "beach", "weight": 2}]))

    (chosen,) = seen["chosen"]
    assert chosen["says"] == "dog for cat, beach turned up; the rest is kept"
    assert [each["kind"] for each in chosen["edits"]] == ["replace", "reweight"]
    assert [name["word"] for name in chosen["local_blend"]["words"]] == ["dog"]
    assert "weights" not in seen["spec"]["targets"][0]


def test_brackets_beside_a_change_of_words_are_weights(client):
    seen = posted(client, edit(prompt="a (dog:0.5) on the beach") | {"prompt_syntax": "weights"})

    (_, weighed) = seen["spec"]["targets"][0]["edits"]
    assert weighed == {
        "kind": "reweight", "weights": [{"word": "dog", "occurrence": None, "weight": 0.5}], "by": "guidance"
    }  # fmt: skip


def test_weights_are_enough_where_the_prompts_say_the_same(client):
    (chosen,) = posted(client, edit(prompt="a cat on the beach", weights=[{"word": "cat", "weight": 0}]))["chosen"]

    assert chosen["says"] == "cat turned down to nothing; the rest is kept"
    assert chosen["edits"][0]["by"] == "guidance"


def test_weights_are_refused_beside_edits_of_ones_own(client):
    said = {"weights": [{"word": "dog", "weight": 2}], "edits": [{"kind": "replace"}]}

    refused = client.post("/v1/edits", json=edit(**said))

    assert [(e["code"], e["pointer"]) for e in refused.json()["errors"]] == [
        ("weights_with_edits", "/targets/0/weights")
    ]


def test_a_word_that_is_faded_counts_as_a_picture(client, parts):
    most = parts.plane.catalogue["tiny"].limits.max_targets
    body = edit(weights=[{"word": "dog", "weight": 0.5}])
    body["targets"] *= most // 2 + 1

    refused = client.post("/v1/edits", json=body)

    assert [(e["code"], e["pointer"]) for e in refused.json()["errors"]] == [("too_many_faded", "/targets")]


def test_a_thing_whose_weight_is_nothing_is_said_to_stay(client):
    weighed = {"kind": "reweight", "weights": [{"word": "cat", "weight": 0}]}
    told = posted(client, edit(prompt="a cat on the beach", edits=[weighed]))["notices"]

    assert [(n["code"], n["pointer"]) for n in told] == [("weight_removes_nothing", "/targets/0/edits/0/weights/0")]
