"""What the sender of an edit is told beside its acceptance."""

import re
from dataclasses import replace

import pytest

from jobs.catalogue import Embedding
from prompts.notices import MAX_NOTICES
from prompts.notices.foreign import other_syntax, weight_syntax
from prompts.schedulers import Substitution
from tests import tiny
from tests.cached_hub import python
from tests.declared import declared
from tests.json_files import changed


def edit(source="a cat on the beach", prompt="a dog on the beach", kind="replace", **rest) -> dict:
    edits = {} if kind is None else {"edits": [{"kind": kind}]}
    return {"model": "tiny", "source": {"prompt": source}, "targets": [{"prompt": prompt, **edits}], **rest}


def told(client, body: dict, path="/v1/edits") -> list[tuple[str, str]]:
    """Codes and pointers of an edit's notices, which are the same whenever it is asked for."""
    answer = client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    seen = client.get(accepted["links"]["self"]).json()
    assert seen["notices"] == accepted["notices"]
    for notice in accepted["notices"]:
        found = body
        for part in notice["pointer"].split("/")[1:]:
            found = found[int(part) if isinstance(found, list) else part]
    return [(notice["code"], notice["pointer"]) for notice in accepted["notices"]]


@pytest.fixture
def of_few_words(client, parts):
    """The API whose model lists its vocabulary."""
    model = parts.plane.catalogue["tiny"].model_copy(update={"vocabulary": ("A", "cat", "dog", "on", "the", "beach")})
    client.app.state.plane = replace(parts.plane, catalogue={**parts.plane.catalogue, "tiny": model})
    return client


def test_an_edit_as_it_should_be_has_no_notices(client):
    assert told(client, edit()) == []


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("a (dog:1.5) on the beach", "weights_read_as_text"),
        ("a ((dog)) on the beach", "weights_read_as_text"),
        ("a [dog] on the beach", "weights_read_as_text"),
        ("a [dog:cat:.5] on beach", "syntax_read_as_text"),
        ("a {dog|cat} on beach x", "syntax_read_as_text"),
        ("a dog BREAK the beach", "syntax_read_as_text"),
        ("a dog++ on the beach", "syntax_read_as_text"),
        ("a <lora:x:1> on the beach", "syntax_read_as_text"),
    ],
)
def test_other_programs_syntax_is_said_to_be_read_as_text(client, prompt, code):
    sent = edit(prompt=prompt, kind="refine", sampling={"negative_prompt": prompt})

    assert told(client, sent) == [(code, "/targets/0/prompt"), (code, "/sampling/negative_prompt")]


@pytest.mark.parametrize(
    ("prompt", "weights", "others"),
    [
        ("a (cat:1.5), ((dog)) x", ["(cat:1.5)", "((dog))"], []),
        ("[cat] [a:b:.5] [a|b]", ["[cat]"], ["[a:b:.5]", "[a|b]"]),
        ("a cat++, dog-- x", [], ["cat++", "dog--"]),
        ("cat::2 dog --ar 16:9", [], ["cat::2", "--ar"]),
        ("__animal__ AND a cat", [], ["__animal__", "AND"]),
        ("embedding:bad {a|b} <lora:x:.5>", [], ["embedding:bad", "{a|b}", "<lora:x:.5>"]),
        (r"a \(cat\), a smile :) x_y_z - -- A", [], []),
        ("A CAT AND A DOG on_a_beach"[:15], [], []),
    ],
)
def test_syntax_is_told_from_text(prompt, weights, others):
    assert (list(weight_syntax(prompt)), list(other_syntax(prompt))) == (weights, others)


def test_a_word_that_the_model_was_not_trained_on_is_told(of_few_words):
    sent = edit(source="A Cat,dog on the beach.", prompt="a fox on the beach", kind="refine")

    assert told(of_few_words, sent) == [("unknown_word", "/targets/0/prompt")]


@pytest.mark.parametrize("unknown", ["🦊", "🦊dog", "❤️"])
def test_an_emoji_is_a_word_that_the_model_may_not_know(of_few_words, unknown):
    assert told(of_few_words, edit(prompt=f"a {unknown} on the beach")) == [("unknown_word", "/targets/0/prompt")]


def test_signs_between_words_are_no_unknown_words(of_few_words):
    assert told(of_few_words, edit(prompt="a dog + on, the beach!", kind="refine")) == []


def test_a_vocabulary_is_listed_with_the_model(of_few_words):
    models = {model["id"]: model["vocabulary"] for model in of_few_words.get("/v1/models").json()["models"]}

    assert models == {"tiny": ["A", "cat", "dog", "on", "the", "beach"], "tiny-too": None, "tiny-third": None}


def test_notices_are_few_however_much_is_sent(of_few_words, parts):
    limits = parts.plane.catalogue["tiny"].limits.model_copy(update={"max_targets": 64})
    plane = of_few_words.app.state.plane
    model = plane.catalogue["tiny"].model_copy(update={"limits": limits})
    of_few_words.app.state.plane = replace(plane, catalogue={**plane.catalogue, "tiny": model})
    target = {"prompt": "a fox " + "(x) " * 5, "edits": [{"kind": "refine"}]}
    answer = of_few_words.post("/v1/edits", json=edit() | {"targets": [target] * 40}).json()

    assert len(answer["notices"]) == MAX_NOTICES
    assert answer["notices"][-1]["code"] == "more_notices"
    assert "65 more" in answer["notices"][-1]["detail"]
    assert max(len(notice["detail"]) for notice in answer["notices"]) < 600


def test_a_batch_has_those_of_its_edits(client):
    edits = [edit(), edit(prompt="a (dog) on the beach", kind="refine")]
    batch = client.post("/v1/batches", json={"edits": edits}).json()

    assert [(n["code"], n["pointer"]) for n in batch["notices"]] == [
        ("weights_read_as_text", "/edits/1/targets/0/prompt")
    ]
    assert client.get(batch["links"]["self"]).json()["notices"] == batch["notices"]
    of_edit = client.get(batch["edits"][1]["links"]["self"]).json()["notices"]
    assert [n["pointer"] for n in of_edit] == ["/targets/0/prompt"]


def weights_of(answer: dict, target: int = 0) -> list[dict]:
    return [w for e in answer["spec"]["targets"][target]["edits"] for w in e.get("weights", ())]


def test_weights_of_a_prompt_become_the_edit_that_they_mean(client):
    body = edit(prompt="a (dog:1.5) on [the] beach", prompt_syntax="weights")
    accepted = client.post("/v1/edits", json=body).json()
    answer = client.get(accepted["links"]["self"]).json()

    assert accepted["notices"] == []
    assert answer["spec"]["targets"][0]["prompt"] == "a dog on the beach"
    assert [e["kind"] for e in answer["spec"]["targets"][0]["edits"]] == ["replace", "reweight"]
    assert [(w["word"], w["weight"]) for w in weights_of(answer)] == [("dog", 1.5), ("the", 0.909091)]


def test_the_answers_spec_sent_again_is_the_same_edit(client):
    body = edit(prompt=r"a (dog:1.5) \(on\) the beach", kind="refine", prompt_syntax="weights")
    first = client.get(client.post("/v1/edits", json=body).json()["links"]["self"]).json()
    again = client.get(client.post("/v1/edits", json=first["spec"]).json()["links"]["self"]).json()

    assert again["spec"] == first["spec"]


def test_weights_alone_need_no_edits(client):
    body = edit(prompt="a (cat:1.5) on the beach", kind=None, prompt_syntax="weights")
    answer = client.get(client.post("/v1/edits", json=body).json()["links"]["self"]).json()

    assert [e["kind"] for e in answer["spec"]["targets"][0]["edits"]] == ["reweight"]
    assert answer["spec"]["targets"][0]["cross_window"]["stop"] == 0.8  # a fader's own


def test_the_sources_weights_are_left_out_and_said_to_be(client):
    body = edit(
        source="a (cat:1.5) on the beach",
        prompt="a (dog:1.5) on the beach",
        prompt_syntax="weights",
        sampling={"negative_prompt": "(night)"},
    )

    assert told(client, body) == [
        ("weights_not_used", "/source/prompt"), ("weights_not_used", "/sampling/negative_prompt"),
    ]  # fmt: skip


def test_what_is_no_weight_is_still_text_and_is_said_to_be(client):
    body = edit(prompt=r"a (dog) \(x\) BREAK [a:b:.5]", kind="refine", prompt_syntax="weights")

    assert told(client, body) == [("syntax_read_as_text", "/targets/0/prompt")]


@pytest.mark.parametrize(
    ("prompt", "kind", "code"),
    [
        ("a (dog on the beach", "replace", "bracket_not_closed"),
        ("a (dog:99) on the beach", "replace", "weight_out_of_range"),
        ("a d(o)g on the beach", "replace", "weight_within_word"),
        (" ".join(f"(w{n}x)" for n in range(40)), None, "too_many_weights"),
        (" ".join(f"(w{n}x)" for n in range(300)), "refine", "too_many_weights"),
    ],
)
def test_what_is_wrong_with_weights_is_said_of_the_prompt(client, prompt, kind, code):
    body = edit(prompt=prompt, kind=kind, prompt_syntax="weights")
    for sent, path, at in ((body, "/v1/edits", ""), ({"edits": [edit(), body]}, "/v1/batches", "/edits/1")):
        answer = client.post(path, json=sent)

        assert answer.status_code == 422
        assert [(e["code"], e["pointer"]) for e in answer.json()["errors"]] == [(code, f"{at}/targets/0/prompt")]


def test_a_weight_whose_word_is_part_of_a_token_points_at_the_prompt(client, parts, monkeypatch):
    tokenized = type(parts.plane.counters["tiny"]).tokenized

    def joined(self, prompt, limit):
        tokens = tokenized(self, prompt, limit)
        at = prompt.find("\u732b\u5728")
        spans = [(at, at + 2) if left in (at, at + 1) else (left, right) for left, right in tokens.spans]
        return replace(tokens, spans=tuple(spans))

    monkeypatch.setattr(type(parts.plane.counters["tiny"]), "tokenized", joined)
    body = edit(prompt="a dog on (\u732b:2)\u5728", prompt_syntax="weights", kind="refine")

    (error,) = client.post("/v1/edits", json=body).json()["errors"]

    assert (error["code"], error["pointer"]) == ("word_within_token", "/targets/0/prompt")


def test_an_unknown_syntax_is_refused(client):
    (error,) = client.post("/v1/edits", json=edit(prompt_syntax="a1111")).json()["errors"]

    assert error["pointer"] == "/prompt_syntax"


def test_notices_say_what_to_do(client):
    answer = client.post("/v1/edits", json=edit(prompt="a (dog:2) BREAK", kind="refine")).json()

    assert all(re.search(r": \S", notice["detail"]) for notice in answer["notices"])
    assert "(dog:2)" in answer["notices"][0]["detail"]


@pytest.fixture
def of_another_scheduler(client, parts):
    """The API whose model comes with a scheduler that is not handled."""
    instead = {"tiny": Substitution("DPMSolverSinglestepScheduler", "dpm_solver_multistep")}
    client.app.state.plane = replace(parts.plane, substitutions=instead)
    return client


def test_a_scheduler_that_runs_unasked_is_noticed_and_shown_with_the_model(of_another_scheduler):
    assert told(of_another_scheduler, edit()) == [("scheduler_substituted", "")]
    model, other, _ = of_another_scheduler.get("/v1/models").json()["models"]
    assert (model["scheduler"], model["scheduler_replaces"]) == ("dpm_solver_multistep", "DPMSolverSinglestepScheduler")
    assert (other["scheduler"], other["scheduler_replaces"]) == (None, None)


def test_a_scheduler_that_is_asked_for_is_not_noticed(of_another_scheduler):
    assert told(of_another_scheduler, edit(sampling={"scheduler": "euler"})) == []


def test_every_edit_of_a_batch_says_which_scheduler_runs(of_another_scheduler):
    answer = of_another_scheduler.post("/v1/batches", json={"edits": [edit(), edit()]}).json()

    assert {notice["code"] for notice in answer["notices"]} == {"scheduler_substituted"}


def test_the_substitute_is_read_from_the_models_files_without_torch(tmp_path):
    tiny.save(tmp_path / "model")
    changed(tmp_path / "model" / "model_index.json", scheduler=["diffusers", "LMSDiscreteScheduler"])
    two = declared("own") + declared("chosen") + 'scheduler = "ddim"\n'
    (tmp_path / "models.toml").write_text(two)
    code = f"""
import sys
from pathlib import Path
from service.models.offered import load_offered
print(load_offered(Path({str(tmp_path / "models.toml")!r})).substitutions)
print(*sorted({{"torch", "transformers", "diffusers"}} & sys.modules.keys()))
"""

    ran = python(code, tmp_path / "cache")

    said, heavy = ran.stdout.splitlines()
    assert said == str({"own": Substitution("LMSDiscreteScheduler", "euler")}), ran.stderr
    assert heavy == ""


def test_learned_words_are_shown_with_the_model(client, parts):
    word = Embedding(path="toy.safetensors", token="<cat-toy>")
    model = parts.plane.catalogue["tiny"].model_copy(update={"embeddings": (word,)})
    client.app.state.plane = replace(parts.plane, catalogue={**parts.plane.catalogue, "tiny": model})

    assert client.get("/v1/models").json()["models"][0]["learned_words"] == ["<cat-toy>"]
