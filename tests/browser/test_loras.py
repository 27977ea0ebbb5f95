"""The LoRAs of the chosen model on the page: chosen, weighed, sent, and pointed at."""

import pytest

from tests.browser.pages import body, edit_of, run, start, write

INK = {"id": "ink", "description": "As if drawn with ink.", "words": ["inky"], "max_weight": 0.8}
CLAY = {"id": "clay", "description": "", "words": [], "max_weight": 2.0}


@pytest.fixture
def offering(show, served):
    """Opens the page on a service that says its models have these LoRAs, by the models' ids."""

    def opened(**loras: list[dict]):
        page = show()

        def models(route):
            answer = route.fetch()
            scenes, *_ = answer.json()["models"]
            route.fulfill(response=answer, json={"models": [{**scenes, "id": id, "loras": loras[id]} for id in loras]})

        page.route("**/v1/models", models)
        page.reload()
        page.locator("#composer .word").first.wait_for()
        return page

    return opened


def lora(page, name: str):
    return page.get_by_role("group", name="LoRAs").get_by_role("checkbox", name=name)


def test_a_model_without_loras_shows_none(offering):
    page = offering(scenes=[])

    assert page.get_by_text("LoRAs").count() == 0
    assert "loras" not in body(page)


def test_a_lora_is_chosen_and_weighed(offering):
    page = offering(scenes=[INK, CLAY])
    assert "loras" not in body(page)
    assert page.get_by_role("slider", name="Weight of clay").count() == 0

    lora(page, "clay").check()
    assert body(page)["loras"] == [{"id": "clay"}]
    lora(page, "ink").check()  # by its most, which is less than 1
    page.get_by_role("spinbutton", name="Weight of clay").fill("-0.5")
    assert body(page)["loras"] == [{"id": "clay", "weight": -0.5}, {"id": "ink", "weight": 0.8}]
    lora(page, "clay").uncheck()
    assert body(page)["loras"] == [{"id": "ink", "weight": 0.8}]


def test_what_a_lora_is_and_by_which_word_it_is_asked_for_is_said(offering):
    page = offering(scenes=[INK])

    said = page.get_by_role("group", name="LoRAs").get_by_text(
        "As if drawn with ink. Say \u201cinky\u201d in a prompt."
    )
    assert said.is_visible()


def test_another_model_has_its_own_loras(offering, watched):
    watched.expected.append("422")  # the service itself has no such model
    page = offering(scenes=[CLAY], other=[INK])
    lora(page, "clay").check()

    page.get_by_label("Model").select_option("other")

    assert lora(page, "clay").count() == 0
    assert not lora(page, "ink").is_checked()
    assert "loras" not in body(page)


def test_what_the_service_says_of_a_lora_stands_beside_it(offering, watched):
    watched.expected.append("422")
    page = offering(scenes=[INK, CLAY])  # which the service itself does not have
    for name in ("clay", "ink"):
        lora(page, name).check()

    start(page, steps=2)

    for name in ("clay", "ink"):
        place = page.locator(f"[data-lora='{name}']")
        place.get_by_text(f"Scenes has no LoRA {name}").wait_for()
        assert lora(page, name).get_attribute("aria-invalid") == "true"


def test_an_edit_with_a_lora_is_made_and_shown_again_with_it(page, api):
    write(page, "#target-1", "a fox on a beach")
    lora(page, "fox").check()
    page.get_by_role("slider", name="Weight of fox").fill("0.9")
    page.locator(".card.target .word.changed").get_by_text("fox").wait_for()
    run(page, steps=4)

    made = api.get(edit_of(page)).json()
    assert made["spec"]["loras"] == [{"id": "fox", "weight": 0.9}]
    assert made["notices"] == []
    page.reload()
    page.locator(".edit .w").first.wait_for()
    assert lora(page, "fox").is_checked()
    assert page.get_by_role("spinbutton", name="Weight of fox").input_value() == "0.9"
    assert body(page)["loras"] == [{"id": "fox", "weight": 0.9}]


def test_a_lora_that_is_offered_no_more_can_be_taken_out(page, offering, api):
    accepted = api.post(
        "/v1/edits",
        json={
            "source": {"prompt": "a cat"},
            "targets": [{"prompt": "a fox", "edits": [{"kind": "replace"}]}],
            "loras": [{"id": "fox"}],
            "sampling": {"steps": 1, "seed": 1},
        },
    ).json()
    there = offering(scenes=[])

    there.evaluate(f"location.hash = '{accepted['id']}'")
    lora(there, "fox").wait_for()

    assert body(there)["loras"] == [{"id": "fox"}]
    lora(there, "fox").uncheck()
    assert "loras" not in body(there)
