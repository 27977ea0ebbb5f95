"""Automatic edits of a photo: what cannot be done is refused, and what may surprise is said."""

import pytest
from PIL import Image

from tests.painted import file_of


@pytest.fixture
def posted(client):
    """The answer to an edit of a grey photo of a cat on the beach."""

    def post(prompt: str, size=(64, 32), **image):
        photo = client.post("/v1/images", files={"image": ("photo.png", file_of(Image.new("RGB", size, "grey")))})
        source = {"prompt": "a cat on the beach", "image": {"upload": photo.json()["id"], **image}}
        return client.post("/v1/edits", json={"model": "tiny", "source": source, "targets": [{"prompt": prompt}]})

    return post


def told(answer) -> list[tuple[str, str]]:
    assert answer.status_code == 202, answer.text
    return [(notice["code"], notice["pointer"]) for notice in answer.json()["notices"]]


def refused(answer) -> list[tuple[str, str]]:
    assert answer.status_code == 422
    return [(each["code"], each["pointer"]) for each in answer.json()["errors"]]


@pytest.mark.parametrize("prompt", ["a cat on the lawn", "a cat on the beach at night"])
def test_what_is_around_the_middle_of_a_photo_is_said_to_stay(posted, prompt):
    assert told(posted(prompt)) == [("surround_stays", "/source/image")]


@pytest.mark.parametrize(
    ("prompt", "image"),
    [
        ("a dog on the beach", {}),
        ("a cat on the lawn", {"fit": "contain"}),
        ("a cat on the lawn", {"size": (96, 96)}),
    ],
)
def test_nothing_is_said_where_all_that_changes_is_given_to_the_model(posted, prompt, image):
    assert told(posted(prompt, **image)) == []


def test_a_prompt_that_does_not_say_what_the_photo_shows_is_refused(posted):
    assert refused(posted("two red cars")) == [("picture_not_described", "/targets/0/prompt")]


def test_a_prompt_that_says_the_same_is_refused(posted):
    assert refused(posted("a cat on the beach")) == [("prompts_equal", "/targets/0/prompt")]


def test_a_photo_to_which_something_is_added_is_said_to_be_laid_out_anew(posted):
    assert told(posted("a cat and a dog on the beach")) == [("added_to_picture", "/targets/0/prompt")]
