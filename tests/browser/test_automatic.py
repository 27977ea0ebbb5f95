"""Two prompts and Run: what is chosen is shown before and after, and what one sets oneself wins."""

import pytest
from playwright.sync_api import Page

from stack.demo import PHOTO
from tests.browser.pages import body, edit_of, run, write

STEPS = 2


def says(page: Page, line: str) -> None:
    """Waits until the first edit's line of what will be done is this one."""
    page.locator(".card.target .says").get_by_text(line, exact=True).wait_for()


def written(page: Page, source: str, target: str, line: str) -> None:
    """Writes both prompts, and waits for what the service chooses."""
    write(page, "#source-prompt", source)
    write(page, "#target-1", target)
    says(page, line)


def blended(page: Page) -> list[str]:
    """The words at which the picture may change, as they are marked."""
    return page.locator(".card.target .word.blends .text").all_inner_texts()


def kind(page: Page):
    return page.get_by_label("Kind of edit 1")


def sent(page: Page) -> dict:
    (target,) = body(page)["targets"]
    return target


def test_what_is_chosen_is_said_and_every_control_opens_with_it(page):
    written(page, "a cat and a car on a beach", "a cat on a beach", "Car removed; the rest is kept.")

    assert sent(page) == {"prompt": "a cat on a beach"}
    assert blended(page) == ["car"]
    page.get_by_text("Fine control").click()
    seen = [
        page.get_by_role("group", name=name).locator("output").inner_text()
        for name in ("Words window", "Shapes window")
    ]
    assert seen == ["0 % to 100 %", "never"]
    assert page.get_by_label("Blend threshold").input_value() == "0.3"
    assert kind(page).locator("option").first.inner_text() == "Automatic: refine"
    assert kind(page).evaluate(
        "each => document.getElementById(each.getAttribute('aria-describedby')).textContent"
    ) == ("Car removed; the rest is kept.")


def test_a_window_goes_back_to_what_is_chosen(page):
    written(page, "a cat on a beach", "a cat and a car on a beach", "Car added; the rest is kept if there is room.")
    page.get_by_text("Fine control").click()
    stop = page.get_by_role("slider", name="Words window: stops")
    assert stop.input_value() == "0"

    stop.press("ArrowRight")
    assert sent(page) == {"prompt": "a cat and a car on a beach", "cross_window": {"start": 0, "stop": 0.05}}
    page.get_by_role("group", name="Words window").get_by_role("button", name="Reset").click()

    assert stop.input_value() == "0"
    assert sent(page) == {"prompt": "a cat and a car on a beach"}


def test_another_threshold_is_sent_with_the_region_that_is_chosen(page):
    says(page, "Dog for cat; the rest is kept.")
    page.get_by_text("Fine control").click()

    page.get_by_label("Blend threshold").press("ArrowRight")

    region = {"words": [{"word": "dog"}], "source_words": [{"word": "cat"}], "threshold": 0.35}
    assert sent(page) == {"prompt": "a dog on a beach", "local_blend": region}


def test_a_region_that_is_chosen_is_changed_word_by_word(page):
    says(page, "Dog for cat; the rest is kept.")
    chips = page.locator("#composer .card.target .word")
    region = page.get_by_label("Only here may the picture change")

    chips.get_by_text("beach", exact=True).click()
    region.check()
    assert sent(page)["local_blend"] == {"words": [{"word": "dog"}, {"word": "beach"}]}
    says(page, "Dog for cat; the rest is kept. Where it may change is as you chose it.")
    region.uncheck()
    chips.get_by_text("dog", exact=True).click()
    assert region.is_checked()
    region.uncheck()

    assert blended(page) == []
    # The window that was chosen stays: it is not the usual one.
    window = {"start": 0, "stop": 0.3, "unit": "share"}
    assert sent(page) == {"prompt": "a dog on a beach", "edits": [{"kind": "replace"}], "cross_window": window}
    assert kind(page).input_value() == "replace"


def test_a_weight_keeps_the_region_that_is_chosen(page):
    says(page, "Dog for cat; the rest is kept.")
    page.locator("#composer .card.target .word").get_by_text("beach", exact=True).click()

    page.get_by_role("spinbutton", name="Weight of beach").fill("2")

    says(page, "Dog for cat, beach turned up; the rest is kept.")
    assert sent(page) == {"prompt": "a dog on a beach", "weights": [{"word": "beach", "weight": 2}]}
    assert blended(page) == ["dog"]


@pytest.mark.parametrize(
    ("source", "target", "line", "said"),
    [
        ("a cat on a beach", "a dog on a beach", "Dog for cat; the rest is kept.", "replace"),
        ("a cat and a car on a beach", "a cat on a beach", "Car removed; the rest is kept.", "refine"),
        ("a cat on a beach", "a cat on a lawn", "Place: lawn; cat stays as it is.", "replace"),
        (
            "a cat on a beach",
            "two red cars",
            "The prompts have nothing in common; a new picture from the source's noise.",
            "prompt",
        ),
    ],
)
def test_what_was_chosen_stands_beside_the_picture_and_is_said_when_it_is_shown_again(
    page, api, source, target, line, said
):
    written(page, source, target, line)
    run(page, steps=STEPS)
    made = api.get(edit_of(page)).json()
    assert page.locator("#gallery .edit .says").inner_text() == line
    assert kind(page).input_value() == "auto"

    page.reload()
    page.locator("#gallery .edit .w").first.wait_for()

    assert kind(page).input_value() == said
    assert page.locator("#gallery .edit .says").inner_text() == line
    run(page)
    again = api.get(edit_of(page)).json()
    assert again["spec"] == made["spec"]
    assert again["chosen"] == []


def test_a_photo_is_not_promised_what_is_refused_of_it(page, watched):
    watched.expected.append("422")
    written(
        page,
        "a cat on a beach",
        "two red cars",
        "The prompts have nothing in common; a new picture from the source's noise.",
    )

    page.get_by_label("A photo to edit").set_input_files(PHOTO)

    says(page, "The prompts have nothing in common: name in both what the photo shows.")
    page.get_by_role("button", name="Run", exact=True).press("Enter")
    page.locator(".card.target .error[data-code='picture_not_described']").wait_for()


def test_prompts_that_say_the_same_are_refused_at_the_prompt(page, watched):
    watched.expected.append("422")
    write(page, "#target-1", "a cat on a beach")
    page.get_by_text("Both prompts say the same").wait_for()

    page.get_by_role("button", name="Run", exact=True).press("Enter")

    page.locator(".card.target .error[data-code='prompts_equal']").wait_for()
