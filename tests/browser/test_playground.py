"""What somebody does who meets the playground: writes, looks, runs, compares, turns, stops, sends, errs."""

import numpy as np
import pytest

from stack.demo import PHOTO
from tests.browser.pages import body, distance, edit_of, file_of, pixels, run, start, words, write

#: Levels of 256 by which two pictures differ that show something else; a map over a picture differs by dozens.
SEEN = 8


def test_the_words_that_differ_are_marked_as_one_types(page):
    assert words(page) == [("a", "kept"), ("dog", "changed"), ("on", "kept"), ("a", "kept"), ("beach", "kept")]
    assert page.locator(".word.changed .said").inner_text() == "for cat"

    page.get_by_label("Edited prompt").press_sequentially(" at night")
    page.locator(".word.added").get_by_text("night").wait_for()

    assert {("at", "added"), ("night", "added"), ("beach", "kept")} <= set(words(page))
    assert page.get_by_label("Kind of edit 1").locator("option").first.inner_text() == "Automatic: refine"
    write(page, "#target-1", "a cat")
    page.locator(".word.removed").get_by_text("beach").wait_for()
    assert words(page) == [("a", "kept"), ("cat", "kept"), ("on", "removed"), ("a", "removed"), ("beach", "removed")]


def test_a_pair_is_written_run_and_watched_until_both_pictures_are_there(page, api):
    write(page, "#source-prompt", "a panda in the desert")
    write(page, "#target-1", "a purple panda in the desert")
    page.locator(".word.added").wait_for()
    page.evaluate("""() => {
      window.told = new Set();
      window.previews = new Set();
      new MutationObserver(() => {
        told.add(document.querySelector("#standing-text").textContent);
        for (const each of document.querySelectorAll(".coming .edit .main.part")) previews.add(each.src);
      }).observe(document.querySelector("#result"), { subtree: true, childList: true, attributes: true });
    }""")

    run(page, steps=12)

    told, previews = page.evaluate("[[...told], [...previews]]")
    assert [text for text in told if text.startswith("Step ") and text.endswith(" of 12")]
    assert previews
    job = api.get(edit_of(page)).json()
    assert (job["status"], [edit["kind"] for edit in job["spec"]["targets"][0]["edits"]]) == ("succeeded", ["refine"])
    source, edit = page.locator(".source .main"), page.locator(".edit .main")
    for picture in (source, edit):
        picture.evaluate("image => image.decode()")
        assert picture.evaluate("image => image.naturalWidth") == 64
    assert distance(pixels(source), pixels(edit)) > SEEN
    assert edit.get_attribute("alt") == "Edit: a purple panda in the desert"


def test_pointing_at_a_word_lays_its_map_over_the_picture(show, swapped):
    page = show(swapped)
    maps = {(a["picture"], a["word"]): a["url"] for a in swapped["artifacts"] if a["kind"] == "heatmap"}
    picture, heat = page.locator(".edit .pic"), page.locator(".edit .heat")
    plain = pixels(picture)
    seen = {}

    for word in ("dog", "beach"):
        page.locator(".edit").get_by_role("button", name=word, exact=True).hover()
        page.locator(".edit .heat.on").wait_for()
        assert page.locator(".edit .acted").inner_text() == f"where “{word}” acted"
        assert _key(heat.get_attribute("src")) == _key(maps[1, word])
        assert heat.evaluate("image => getComputedStyle(image).opacity") == "1"
        seen[word] = pixels(picture)
    page.mouse.move(0, 0)
    page.locator(".edit .heat:not(.on)").wait_for()

    assert distance(seen["dog"], plain) > SEEN
    assert distance(seen["dog"], seen["beach"]) > SEEN
    assert np.array_equal(pixels(picture), plain)


def test_the_source_shows_the_word_that_was_there_before(show, swapped):
    page = show(swapped)
    (cat,) = (a for a in swapped["artifacts"] if a["kind"] == "heatmap" and (a["picture"], a["word"]) == (0, "cat"))

    page.locator(".edit").get_by_role("button", name="dog").hover()
    page.locator(".source .heat.on").wait_for()

    assert _key(page.locator(".source .heat").get_attribute("src")) == _key(cat["url"])
    assert page.locator(".source .w.lit").inner_text() == "cat"


def _key(url: str) -> str:
    """What a URL is of: each answer signs it anew."""
    return url.split("?")[0].split("/v1/artifacts/")[1]


def test_a_weight_that_is_moved_makes_another_picture_of_the_same_source(show, swapped):
    page = show(swapped)
    before = {name: file_of(page.locator(f".{name} .main")) for name in ("source", "edit")}

    page.locator("#composer").get_by_role("button", name="beach").click()
    slider = page.get_by_role("slider", name="Weight of beach")
    slider.focus()
    slider.press("Home")
    assert page.locator("#composer").get_by_role("button", name="beach").locator(".weight").inner_text() == "\u00d7-2"
    run(page)

    assert body(page)["targets"][0]["edits"][1] == {"kind": "reweight", "weights": [{"word": "beach", "weight": -2}]}
    assert file_of(page.locator(".source .main")) == before["source"]
    assert file_of(page.locator(".edit .main")) != before["edit"]
    assert page.locator(".edit .head .kind").inner_text() == "replace, beach \u00d7-2"


def test_a_long_job_is_canceled(page, api):
    start(page, steps=100)
    page.get_by_text("of 100").wait_for()

    page.get_by_role("button", name="Cancel", exact=True).click()

    page.get_by_text("Canceled. Nothing of it is kept.").wait_for()
    assert api.get(edit_of(page)).json()["status"] == "canceled"
    assert page.get_by_role("button", name="Run", exact=True).is_visible()


def test_after_a_job_that_was_canceled_one_sees_the_pictures_of_before(show, swapped):
    page = show(swapped)
    picture = page.locator(".edit .main")
    before = _key(picture.get_attribute("src"))
    start(page, steps=100)
    page.get_by_text("of 100").wait_for()

    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_text("Canceled. Nothing of it is kept.").wait_for()
    page.locator(".edit .w").first.wait_for()

    assert _key(picture.get_attribute("src")) == before
    assert picture.is_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64


def test_a_photo_is_sent_and_edited(page):
    page.get_by_label("A photo to edit").set_input_files(PHOTO)
    page.get_by_alt_text("The photo that is edited").wait_for()
    page.get_by_label("What the photo shows").fill("a cat in the snow")
    write(page, "#target-1", "a dog in the snow")
    page.locator(".word.changed").get_by_text("dog").wait_for()

    run(page, steps=3)

    assert page.locator(".source .main").get_attribute("alt") == "Source: a cat in the snow"
    for name in ("source", "edit"):
        sides = page.locator(f".{name} .main").evaluate("i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])")
        assert sides == [96, 64]
    assert "photo comes back with" in page.locator("#facts").inner_text()
    # The model saw the middle alone: its map lies over that, not over all of it.
    page.locator(".edit").get_by_role("button", name="dog").hover()
    page.locator(".edit .heat.on").wait_for()
    assert page.locator(".edit .heat").evaluate("i => getComputedStyle(i).objectFit") == "contain"


def test_what_is_no_picture_is_refused_next_to_the_photo(page, watched):
    watched.expected.append("422")

    page.get_by_label("A photo to edit").set_input_files(
        {"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture"}
    )

    page.locator(".photo .error").wait_for()
    assert page.get_by_label("A photo to edit").get_attribute("aria-invalid") == "true"


@pytest.mark.parametrize(
    ("label", "value", "needed"),
    [
        ("Edited prompt", "", "write something"),
        ("Source prompt", "", "write something"),
        ("Steps", "500", "at most 100"),
        ("Seed", "-2", "at least -1"),
    ],
)
def test_what_is_wrong_is_said_next_to_its_field(page, watched, label, value, needed):
    watched.expected.append("422")
    field = page.locator("#composer").get_by_label(label, exact=True).and_(page.locator("textarea, input[type=number]"))

    field.fill(value)
    start(page)
    said = page.locator("#composer .error")
    said.wait_for()

    assert needed in said.inner_text()
    assert field.get_attribute("aria-invalid") == "true"
    assert field.get_attribute("aria-describedby") == said.get_attribute("id")
    assert field.evaluate("field => field === document.activeElement")
    assert field.evaluate("field => field.closest('.field').querySelector('.error') !== null")


def test_what_was_wrong_is_said_no_more_once_it_is_right(page, watched):
    watched.expected.append("422")
    start(page, steps=500)
    page.locator("#composer .error").wait_for()

    run(page, steps=2)

    assert page.locator("#composer .error").count() == 0
    assert page.get_by_role("spinbutton", name="Steps").get_attribute("aria-invalid") is None


def test_an_edit_that_cannot_be_is_told_while_one_types(page, watched):
    watched.expected.append("422")
    page.get_by_label("Kind of edit 1").select_option("replace")
    page.locator(".word.changed").wait_for()

    page.get_by_label("Edited prompt").press_sequentially(" at night")

    page.locator(".inline .error").get_by_text("the prompts have 5 and 7 words").wait_for()
    page.get_by_label("Kind of edit 1").select_option("auto")
    page.locator(".word.added").first.wait_for()
    assert page.locator("#composer .error").count() == 0
