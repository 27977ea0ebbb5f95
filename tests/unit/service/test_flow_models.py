"""Models of flows as the API sees them: prompts in segments without torch, and what has no meaning there."""

import pytest

from jobs.catalogue import load_catalogue
from jobs.errors import InvalidCatalogue
from jobs.versions import FIRST
from p2p.spec import METHODS
from p2p.tokens import tokenize
from prompts.counting import counter_of
from tests import families
from tests.declared import declared
from tests.unit.service.test_token_models import photo, refused
from tests.unit.service.test_versions import FOURTH

#: By the family: its tiny model, and how many tokens that reads.
LIMITS = {"stable_diffusion_3": 40, "flux": 40, "flux2_klein": 96, "z_image": 96, "qwen_image": 96}
PROMPTS = ["a cat on a beach", "a bench, at night!", "the red car " * 12 + "dog"]


@pytest.fixture(scope="module", params=LIMITS)
def model(request, tmp_path_factory):
    """A declared model, and its family as a worker loads it."""
    folder = tmp_path_factory.mktemp(request.param)
    pipeline = families.PIPELINES[request.param]()
    pipeline.save_pretrained(folder / "model")
    (folder / "models.toml").write_text(declared().replace("stable_diffusion", request.param))
    declaration = load_catalogue(folder / "models.toml")["tiny"]
    return declaration, families.of(pipeline)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_has_the_places_that_the_worker_reads_it_at(model, prompt):
    declaration, family = model
    here, there = counter_of(declaration).tokenized(prompt, 0), tokenize(prompt, family.tokenizer)

    assert here == there
    assert here.words() == there.words()


def test_the_longest_segment_says_how_many_tokens_a_prompt_may_have(model):
    declaration, family = model
    counter = counter_of(declaration)

    assert counter.limit == family.tokenizer.model_max_length == LIMITS[family.name]
    assert counter.count("a cat on a beach") == len(
        family.tokenizer("a cat on a beach", return_offsets_mapping=True)["input_ids"]
    )
    assert counter.may_exceed("a cat " * 200, counter.limit)


def test_a_tokenizer_that_is_named_apart_is_refused(model):
    declaration, _ = model
    with pytest.raises(InvalidCatalogue, match="leave `tokenizer` out"):
        counter_of(declaration.model_copy(update={"tokenizer": declaration.path}))


__all__ = ["photo"]  # a fixture


@pytest.fixture
def flows(parts) -> None:
    """The first model follows a flow, as far as the API can see."""
    whole = parts.plane.catalogue
    name = next(iter(whole))
    whole[name] = whole[name].model_copy(update={"family": "flux"})


EDIT = {
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
}
WITHOUT_EDITS = {"targets": [{"prompt": "a dog on the beach", "edits": []}]}


@pytest.mark.parametrize(
    ("asked", "pointer", "code"),
    [
        ({"sampling": {"scheduler": "euler"}}, "/sampling/scheduler", "unsupported_sampling"),
        ({"sampling": {"order": "own"}}, "/sampling/order", "unsupported_sampling"),
        ({"long_prompts": "chunks"}, "/long_prompts", "chunks_not_here"),
        ({"compat": "reference"}, "/reference", "unsupported_sampling"),
        ({"reference": {}} | WITHOUT_EDITS, "/reference", "reference_conflict"),
        ({"reference": {}, "compat": "reference"}, "/targets/0/edits", "reference_conflict"),
    ],
)
def test_what_has_no_meaning_for_flows_is_refused_at_its_field(client, flows, asked, pointer, code):
    answer = client.post("/v1/edits", json=EDIT | asked)

    assert answer.status_code == 422, answer.text
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(pointer, code)]


def test_the_published_method_is_taken_by_flows_and_refused_by_others(client, parts, request):
    asked = EDIT | WITHOUT_EDITS | {"compat": "reference", "reference": {"method": "kivi"}}
    answer = client.post("/v1/edits", json=asked)
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/reference"]

    request.getfixturevalue("flows")
    answer = client.post("/v1/edits", json=asked)
    assert answer.status_code == 202, answer.text
    assert parts.store.get(answer.json()["id"]).spec.reference.method == "kivi"


@pytest.mark.parametrize("method", METHODS)
def test_an_inversion_that_flows_do_not_have_is_refused_at_its_field(client, parts, photo, method, request):
    """And the straight line, which nothing but flows has, by the models that follow none."""
    asked = EDIT | photo | {"inversion": {"method": method}}
    if method == "straight":
        assert refused(client.post("/v1/edits", json=asked)) == [("/inversion/method", "unsupported_inversion")]
    request.getfixturevalue("flows")
    answer = client.post("/v1/edits", json=asked)

    if METHODS[method].refused.get("flows"):
        assert refused(answer) == [("/inversion/method", "unsupported_inversion")]
    else:
        assert answer.status_code == 202, answer.text
        assert parts.store.get(answer.json()["id"]).schema_version == (FOURTH if method == "straight" else FIRST)
