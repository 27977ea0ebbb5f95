"""Words in the playground: what the API says of them is what the page marks, sends and shows again."""

import pytest
from playwright.sync_api import Page

from tests.browser.pages import body, edit_of, run, write

STEPS = 2


def marked(page: Page, source: str, target: str, expected: list[tuple[str, str]]) -> None:
    """Writes both prompts and waits until the words of the second one are marked, as it is expected."""
    write(page, "#source-prompt", source)
    write(page, "#target-1", target)
    page.wait_for_function(
        """expected => {
            const chips = [...document.querySelectorAll(".card.target .word")];
            const found = chips.map(chip => [chip.querySelector(".text").textContent, chip.dataset.state]);
            return JSON.stringify(expected) === JSON.stringify(found);
        }""",
        arg=[list(pair) for pair in expected],
    )


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        ("a Cat on a beach", "a cat on a BEACH", "weights only"),
        ("a cat, on a beach", "a cat on a beach", "refine"),
        ("a cat on a beach", "a dog on a beach.", "replace"),
    ],
)
def test_the_page_marks_what_the_sampler_does(page, api, source, target, kind):
    asked = {"source": {"prompt": source}, "targets": [{"prompt": target}]}
    (said,) = api.post("/v1/alignments", json=asked).json()["targets"]

    marked(page, source, target, [(word["word"], word["state"]) for word in said["words"]])

    assert page.locator(".kind-choice option").first.text_content() == f"Automatic: {kind}"
    assert (said["kind"] or "weights only") == kind


def test_names_inside_words_stay_in_the_request(show, api):
    """ "cat" of "cat,dog" has no button of its own: it is sent as it came, and can be taken out."""
    target = {
        "prompt": "cat,dog and a cat on a beach",
        "edits": [
            {"kind": "refine"},
            {
                "kind": "reweight",
                "weights": [{"word": "on a", "weight": 2}, {"word": "cat", "occurrence": 1, "weight": 1.5}],
            },
        ],
        "local_blend": {"words": [{"word": "cat"}], "source_words": [{"word": "tree"}]},
    }
    sent = {"source": {"prompt": "tree,dog on a beach"}, "targets": [target], "sampling": {"steps": STEPS, "seed": 3}}
    accepted = api.post("/v1/edits", json=sent, headers={"Prefer": "wait=60"}).raise_for_status().json()

    page = show(accepted)
    page.locator(".word.part").first.wait_for()

    made = body(page)["targets"][0]
    assert made["local_blend"] == target["local_blend"]
    assert made["edits"][1]["weights"] == [
        {"word": "on", "weight": 2},
        {"word": "a", "occurrence": 2, "weight": 2},
        {"word": "cat", "occurrence": 1, "weight": 1.5},
    ]
    page.get_by_role("button", name="Take out cat, a part of a word").first.click()
    assert [w["word"] for w in body(page)["targets"][0]["edits"][1]["weights"]] == ["on", "a"]


def test_weights_alone_stay_alone_though_a_comma_moved_the_tokens(show, api):
    target = {
        "prompt": "a cat on a beach",
        "edits": [{"kind": "reweight", "weights": [{"word": "cat", "weight": 2}]}],
    }
    sent = {"source": {"prompt": "a cat, on a beach"}, "targets": [target], "sampling": {"steps": STEPS, "seed": 3}}
    accepted = api.post("/v1/edits", json=sent, headers={"Prefer": "wait=60"}).raise_for_status().json()

    page = show(accepted)
    page.locator("#composer .word .weight").wait_for()
    run(page)

    again, spec = api.get(edit_of(page)).json()["spec"], accepted["spec"]
    again["artifacts"]["previews"] = 0  # the page asks for some
    assert again == spec


def test_notices_stand_at_the_prompts_they_are_about(page):
    kept = [(word, "kept") for word in ("on", "a", "beach")]
    marked(page, "a cat on a beach", "a (fox:1.2) on a beach", [("a", "kept"), ("fox:1.2", "changed"), *kept])
    run(page, steps=STEPS)

    notes = page.locator(".card.target .note")
    assert [note.get_attribute("data-code") for note in notes.all()] == ["weights_read_as_text", "unknown_word"]
    assert "fox" in notes.last.inner_text()

    write(page, "#target-1", "a dog on a beach")
    notes.first.wait_for(state="detached")


def test_the_weight_zero_of_an_automatic_edit_is_said_to_unsay_the_word(page):
    page.locator(".card.target .word").nth(1).click()

    assert "At 0 it is as if the prompt did not say it" in page.locator(".word-panel .help").first.inner_text()


def test_the_weight_zero_of_an_edit_of_a_kind_is_not_said_to_remove(page):
    page.get_by_label("Kind of edit 1").select_option("replace")
    page.locator(".card.target .word").nth(1).click()

    assert "the thing usually stays" in page.locator(".word-panel .help").first.inner_text()
