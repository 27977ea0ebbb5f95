"""What has no meaning on a model that draws tokens is refused at once, with the field; its files are checked too."""

from pathlib import Path

import pytest

from admin.models_check import checked
from jobs.catalogue import load_catalogue
from p2p.errors import UnsupportedModel
from p2p.spec import METHODS
from tests import tiny_amused
from tests.declared import declared
from tests.unit.service.test_images import file_of, halves
from worker.checks import weights_of_checked

EDIT = {
    "source": {"prompt": "a cat on the beach"},
    "targets": [{"prompt": "a dog on the beach", "edits": [{"kind": "replace"}]}],
}


@pytest.fixture
def tokens(parts) -> None:
    """The first model draws tokens, as far as the API can see."""
    whole = parts.plane.catalogue
    name = next(iter(whole))
    whole[name] = whole[name].model_copy(update={"family": "amused"})


@pytest.fixture
def photo(client) -> dict:
    """A source that is a picture."""
    answer = client.post("/v1/images", files={"image": ("photo.png", file_of(halves()), "image/png")})
    assert answer.status_code == 201, answer.text
    return {"source": {"prompt": "a cat on the beach", "image": {"upload": answer.json()["id"]}}}


def refused(answer) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


@pytest.mark.parametrize("name", ["ddim", "euler_ancestral"])
def test_a_scheduler_is_refused_at_its_field(client, tokens, name):
    answer = client.post("/v1/edits", json=EDIT | {"sampling": {"scheduler": name}})

    assert refused(answer) == [("/sampling/scheduler", "unsupported_sampling")]
    assert f"draws tokens, and {name} removes noise" in answer.text


@pytest.mark.parametrize("order", ["own", "source", "held"])
def test_an_order_is_taken_by_a_model_of_tokens_and_refused_by_one_of_latents(client, parts, order, request):
    asked = EDIT | {"sampling": {"order": order}}
    assert refused(client.post("/v1/edits", json=asked)) == [("/sampling/order", "unsupported_sampling")]

    request.getfixturevalue("tokens")
    answer = client.post("/v1/edits", json=asked)

    assert answer.status_code == 202, answer.text
    assert parts.store.get(answer.json()["id"]).spec.sampling.order == order


@pytest.mark.parametrize("method", METHODS)
def test_an_inversion_that_needs_latents_is_refused_at_its_field(client, parts, tokens, photo, method):
    answer = client.post("/v1/edits", json=EDIT | photo | {"inversion": {"method": method}})

    if METHODS[method].refused.get("tokens"):
        assert refused(answer) == [("/inversion/method", "unsupported_inversion")]
    else:
        assert answer.status_code == 202, answer.text
        assert parts.store.get(answer.json()["id"]).spec.sampling.scheduler is None


@pytest.fixture
def check(tmp_path):
    """What is said of a tiny model that draws tokens, declared with other lines."""
    made = tiny_amused.pipeline(network={"downsample": True, "upsample": True})
    made.vqvae.register_to_config(force_upcast=True)
    made.save_pretrained(tmp_path / "model")
    file = Path(tmp_path / "models.toml")

    def said(old: str = "", new: str = "") -> list[str]:
        file.write_text(declared("tiny").replace("stable_diffusion", "amused").replace(old, new))
        model = load_catalogue(file)["tiny"]
        found = list(checked(model))
        if found:
            with pytest.raises(UnsupportedModel):
                weights_of_checked(model)
        else:
            assert weights_of_checked(model)
        return found

    return said


def test_a_model_of_tokens_that_can_be_served_has_no_troubles(check):
    assert check() == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('family = "amused"', 'family = "amused"\ntorch_dtype = "float16"', "vqvae says force_upcast: it overflows"),
        ('family = "amused"', 'family = "amused"\nscheduler = "ddim"', "take `scheduler` out of its table"),
        ("[[32, 32]]", "[[34, 32]]", "34x32 are no multiples of 4"),
        ('family = "amused"', 'family = "stable_diffusion"', "transformer (UVit2DModel) is a part that"),
    ],
)
def test_what_is_declared_and_the_model_cannot_do_is_said(check, old, new, said):
    assert said in " ".join(check(old, new))
