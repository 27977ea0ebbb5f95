"""POST /v1/alignments: how words correspond, told without a model."""

import pytest


def asked(source: str, *targets: str | dict, **rest) -> dict:
    made = [target if isinstance(target, dict) else {"prompt": target} for target in targets]
    return {"model": "tiny", "source": {"prompt": source}, "targets": made, **rest}


def test_the_words_of_each_target_are_set_against_the_sources(client):
    answer = client.post("/v1/alignments", json=asked("a cat on the beach", "a dog on the beach", "a cat"))

    assert answer.status_code == 200
    view = answer.json()
    swap, cut = view["targets"]
    assert (swap["kind"], cut["kind"]) == ("replace", "refine")
    assert [(w["word"], w["state"], w["sources"]) for w in swap["words"]][:2] == [
        ("a", "kept", [0]),
        ("dog", "changed", [1]),
    ]
    assert cut["removed"] == [2, 3, 4]


def test_a_word_says_where_it_stands_and_which_tokens_it_has(client):
    source = client.post("/v1/alignments", json=asked("the dog, the cat", "a dog")).json()["source"]

    words = {(w["word"], w["occurrence"]): w for w in source["words"]}
    assert [(w["word"], w["occurrence"]) for w in source["words"]] == [("the", 1), ("dog", 1), ("the", 2), ("cat", 1)]
    dog = words["dog", 1]
    assert (dog["start"], dog["stop"]) == (4, 7)
    assert dog["tokens"] == [{"position": 2, "text": "dog"}]
    assert source["tokens"] == 2 + 5  # the comma is a token of its own, and no word's name


def test_its_words_are_those_that_an_edit_and_its_heat_maps_name(client, parts):
    """What the page hands on is taken: every word by its occurrence as a weight."""
    prompt = "the dog and the cat and the beach"
    words = client.post("/v1/alignments", json=asked(prompt, prompt)).json()["targets"][0]["words"]
    weights = [{"word": w["word"], "occurrence": w["occurrence"], "weight": 2} for w in words]
    body = asked(prompt, {"prompt": prompt, "edits": [{"kind": "reweight", "weights": weights}]})

    assert client.post("/v1/edits", json=body).status_code == 202


def test_a_word_whose_tokens_moved_is_shown_where_it_went(client):
    """A comma less: every word is kept, the comma is gone, and "refine" is what does it."""
    (target,) = client.post("/v1/alignments", json=asked("a cat, on the beach", "a cat on the beach")).json()["targets"]

    assert target["kind"] == "refine"
    assert [(w["state"], w["sources"]) for w in target["words"]] == [("kept", [index]) for index in range(5)]


def test_the_same_tokens_need_no_edit(client):
    (target,) = client.post("/v1/alignments", json=asked("a Cat on the beach", "a  cat on the BEACH")).json()["targets"]

    assert target["kind"] is None
    assert {w["state"] for w in target["words"]} == {"kept"}


def test_a_name_says_which_words_and_tokens_it_means(client):
    names = [{"word": word} for word in ("cat", "cat,dog", "red cat", "zebra")]
    prompt = {"prompt": "cat,dog, a red cat", "names": [*names, {"word": "cat", "occurrence": 2}]}
    (target,) = client.post("/v1/alignments", json=asked("a cat", prompt)).json()["targets"]

    found = [(n["words"], n["exact"], [t["position"] for t in n["tokens"]]) for n in target["names"]]
    assert found == [
        ([0, 3], False, [1, 7]),
        ([0], True, [1, 2, 3]),
        ([2, 3], True, [6, 7]),
        ([], False, []),
        ([3], True, [7]),
    ]
    assert [(w["word"], w["occurrence"], w["occurrences"]) for w in target["words"]][3] == ("cat", 2, 2)


def test_a_kind_that_is_asked_for_is_the_one_that_is_shown(client):
    body = asked("a cat on the beach", {"prompt": "a dog on the beach", "kind": "refine"})

    (target,) = client.post("/v1/alignments", json=body).json()["targets"]

    assert target["kind"] == "refine"
    assert target["words"][1]["state"] == "added"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        (
            asked("a cat", "a big cat", {"prompt": "a big dog", "kind": "replace"}),
            "/targets/1/kind",
            "word_counts_differ",
        ),
        (asked("a cat", " ".join(["cat"] * 100)), "/targets/0/prompt", "prompt_too_long"),
        (asked(" ".join(["cat"] * 100), "a cat"), "/source/prompt", "prompt_too_long"),
        (asked("a cat", ""), "/targets/0/prompt", "too_short"),
        (asked("a cat"), "/targets", "too_few"),
        (asked("a cat", *["a dog"] * 65), "/targets", "too_many"),
        (asked("a cat", {"prompt": "a dog", "kind": "reweight"}), "/targets/0/kind", "literal_error"),
        (asked("a cat", "a dog", seed=3), "/seed", "unknown_field"),
        ({**asked("a cat", "a dog"), "model": "none"}, "/model", "unknown_model"),
    ],
)
def test_what_is_wrong_is_pointed_at(client, body, pointer, code):
    answer = client.post("/v1/alignments", json=body)

    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]


def test_an_answer_says_what_the_prompt_changes(client):
    (swap, same) = client.post(
        "/v1/alignments", json=asked("a cat on the beach", "a red dog on the beach", "a cat on the beach")
    ).json()["targets"]

    assert swap["change"] == [{"kind": "thing", "source_words": [1], "words": [1, 2], "about": []}]
    assert same["change"] == []


def test_an_answer_says_what_an_edit_of_the_prompts_alone_is_run_with(client):
    """It is what an edit without settings answers, field by field."""
    prompts = ("a red dog on the beach", "a cat with a hat on the beach", "a cat", "two dogs", "a cat on the lawn")
    view = client.post("/v1/alignments", json=asked("a cat on the beach", *prompts)).json()
    made = []
    for prompt in prompts:
        edit = client.post("/v1/edits", json=asked("a cat on the beach", prompt)).json()
        made += client.get(edit["links"]["self"]).json()["chosen"]

    for target, chosen in zip(view["targets"], made, strict=True):
        assert target["chosen"] == {name: chosen[name] for name in target["chosen"]}
    assert view["targets"][0]["chosen"]["says"] == "red dog for cat; the rest is kept"


def test_a_kind_that_is_asked_for_changes_nothing_of_what_is_chosen(client):
    body = asked("a cat on the beach", {"prompt": "a dog on the beach", "kind": "refine"})

    (target,) = client.post("/v1/alignments", json=body).json()["targets"]

    assert (target["kind"], target["chosen"]["edits"]) == ("refine", [{"kind": "replace"}])


@pytest.mark.parametrize("prompt", ["a cat on the beach", "A  cat on the BEACH", "a cat, on the beach"])
def test_nothing_is_chosen_for_prompts_that_say_the_same(client, prompt):
    (target,) = client.post("/v1/alignments", json=asked("a cat on the beach", prompt)).json()["targets"]

    assert target["chosen"] is None


def test_no_more_weights_are_read_than_an_edit_of_the_most_targets_has(client):
    """Each has its prompt read once more: 2,048 of them took a second of a core."""
    weighed = {"prompt": "a cat", "weights": [{"word": "cat", "weight": 2}] * 32}

    assert client.post("/v1/alignments", json=asked("a cat", *[weighed] * 8)).status_code == 200
    answer = client.post(
        "/v1/alignments", json=asked("a cat", *[weighed] * 8, {**weighed, "weights": weighed["weights"][:1]})
    )
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [("/targets", "too_many_weights")]
