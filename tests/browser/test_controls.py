"""The rest of what the page lets one do, and what it says when something is in the way."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from threading import Event

from tests.browser.pages import body, distance, edit_of, finished, pixels, run, start, write
from tests.heif import FILES
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
#: Levels of 256 by which two pictures differ that show something else.
SEEN = 8


def test_the_copied_command_runs_and_makes_the_same_edit(show, served, api):
    page = show(permissions=["clipboard-read", "clipboard-write"])
    write(page, "#target-1", 'a dog\'s "beach" & $HOME')  # what a shell would read otherwise
    page.locator(".word").get_by_text("HOME").wait_for()
    run(page, steps=2)
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    command = page.evaluate("navigator.clipboard.readText()")

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE, check=True)

    accepted = json.loads(done.stdout)
    assert api.get(accepted["links"]["self"]).json()["spec"] == api.get(edit_of(page)).json()["spec"]


def test_the_copied_python_runs_and_leaves_the_pictures(show, tmp_path):
    page = show(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("radiogroup", name="Language").get_by_text("Python").click()
    page.get_by_role("spinbutton", name="Steps").fill("2")
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    script = page.evaluate("navigator.clipboard.readText()")

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, timeout=PATIENCE, check=True)

    assert {"source.png", "edit-1.png", "manifest.json"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_every_language_says_the_same_request(show, swapped):
    page = show(swapped)
    sent = body(page)
    languages = page.get_by_role("radiogroup", name="Language")

    languages.get_by_text("Python").click()
    (call,) = (
        node
        for node in ast.walk(ast.parse(page.locator("#snippet").inner_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "submit"
    )
    languages.get_by_text("TypeScript").click()
    typescript = page.locator("#snippet").inner_text()

    assert ast.literal_eval(call.args[0]) == sent
    assert json.loads(re.search(r"submit\((\{.*\})\)\);", typescript, re.DOTALL)[1]) == sent


def test_only_what_differs_from_the_defaults_is_sent(page):
    assert body(page) == {
        "source": {"prompt": "a cat on a beach"},
        "targets": [{"prompt": "a dog on a beach"}],
        "sampling": {"seed": 2},
        "artifacts": {"previews": 3},
    }


def test_windows_that_are_not_said_are_those_of_the_model(page):
    page.get_by_label("Kind of edit 1").select_option("replace")
    page.get_by_label("Model", exact=True).select_option("scenes-tokens")
    page.get_by_text("Fine control").click()

    windows = [page.get_by_role("group", name=name) for name in ("Words window", "Shapes window")]
    assert [window.locator("output").inner_text() for window in windows] == ["0 % to 80 %", "never"]
    (target,) = body(page)["targets"]
    assert target == {"prompt": "a dog on a beach", "edits": [{"kind": "replace"}]}


def test_an_earlier_edit_is_shown_again_with_its_request(page, swapped):
    run(page, steps=2)
    page.locator(f"#history button[data-id='{swapped['id']}']").click()
    page.locator("#facts").get_by_text("4 steps").wait_for()

    assert edit_of(page).endswith(swapped["id"])
    assert page.get_by_label("Edited prompt").input_value() == "a dog on a beach"
    assert page.get_by_label("Kind of edit 1").input_value() == "replace"
    assert body(page) == {
        "source": {"prompt": "a cat on a beach"},
        "targets": [
            {"prompt": "a dog on a beach", "edits": [{"kind": "replace"}], "local_blend": {"words": [{"word": "dog"}]}}
        ],
        "sampling": {"seed": 4, "steps": 4},
        "artifacts": {"previews": 3},
    }


def test_what_the_page_has_no_control_for_stays_in_the_request(show, api):
    target = {
        "prompt": "a cat and a cat",
        "edits": [
            {"kind": "refine"},
            {"kind": "reweight", "weights": [{"word": "cat", "occurrence": 2, "weight": 1.5}]},
        ],
        "cross_window": {"start": 0.1, "stop": 0.6},
        "word_windows": [{"word": "and", "window": {"start": 0.2, "stop": 0.3}}],
        "local_blend": {"words": [{"word": "cat", "occurrence": 1}], "threshold": 0.4, "box": _box(0.9)},
    }
    sent = {
        "source": {"prompt": "a dog and a cat"},
        "targets": [target],
        "sampling": {"steps": 2, "negative_prompt": "rain", "guidance_scale": 2.5},
        "artifacts": {"format": "webp"},
    }
    accepted = api.post("/v1/edits", json=sent, headers={"Prefer": "wait=60"}).raise_for_status().json()

    page = show(accepted)
    page.locator("#composer .word .weight").wait_for()
    run(page)

    again, spec = api.get(edit_of(page)).json()["spec"], accepted["spec"]
    again["artifacts"]["previews"] = 0  # the page asks for some
    assert again == spec


def _box(side: float) -> dict:
    return {"left": 0, "top": 0, "right": side, "bottom": side}


def test_a_word_is_chosen_for_the_blend_and_its_mask_is_shown(page):
    page.get_by_label("Kind of edit 1").select_option("replace")
    page.locator("#composer").get_by_role("button", name="dog").click()
    page.get_by_label("Only here may the picture change").check()
    assert body(page)["targets"][0]["local_blend"] == {"words": [{"word": "dog"}]}
    run(page, steps=4)
    page.mouse.move(0, 0)
    before = pixels(page.locator(".edit .pic"))

    page.get_by_label("Blend mask").check()

    after = pixels(page.locator(".edit .pic"))
    assert distance(before, after) > SEEN
    # Outside of the region it is dark: nobody may have changed it.
    assert after[:20, -20:].mean() < before[:20, -20:].mean() / 2


def test_a_word_that_goes_is_chosen_with_those_that_change(page):
    write(page, "#source-prompt", "a cat and a car on a beach")
    write(page, "#target-1", "a cat on a beach")
    page.get_by_label("Kind of edit 1").select_option("refine")
    page.locator(".word.removed").get_by_text("car").click()

    page.get_by_label("Only here may the picture change").check()

    assert body(page)["targets"][0]["local_blend"] == {"source_words": [{"word": "car"}]}


def test_a_window_has_two_thumbs_of_which_one_pushes_the_other(page):
    page.get_by_text("Fine control").click()
    start_at = page.get_by_role("slider", name="Words window: starts")
    stop_at = page.get_by_role("slider", name="Words window: stops")

    stop_at.focus()
    stop_at.press("ArrowRight")
    assert body(page)["targets"][0]["cross_window"] == {"start": 0, "stop": 0.35}
    start_at.focus()
    start_at.press("End")
    assert body(page)["targets"][0]["cross_window"] == {"start": 1, "stop": 1}
    page.get_by_role("group", name="Words window").get_by_role("button", name="Reset").click()
    assert "cross_window" not in body(page)["targets"][0]
    assert stop_at.input_value() == "0.3"


def test_several_edits_are_made_in_one_run_and_removed_again(page):
    page.get_by_role("button", name="Add an edit").click()
    write(page, "#target-2", "a cat on a beach at night")
    page.locator(".card.target").nth(1).locator(".word.added").first.wait_for()

    run(page, steps=2)

    assert [target["prompt"] for target in body(page)["targets"]] == ["a dog on a beach", "a cat on a beach at night"]
    assert page.locator("#gallery .main").count() == 3
    page.get_by_text("Wipe", exact=True).click()
    page.get_by_role("radiogroup", name="Edit that is wiped").get_by_text("2").click()
    assert page.locator(".edit .pic").nth(0).is_hidden()
    assert page.locator(".edit .pic").nth(1).is_visible()
    page.get_by_role("button", name="Remove edit 1").click()
    assert [target["prompt"] for target in body(page)["targets"]] == ["a cat on a beach at night"]


def test_the_wipe_shows_more_of_the_source_or_more_of_the_edit(show, swapped):
    page = show(swapped)
    side_by_side = pixels(page.locator(".source .pic"))
    page.get_by_text("Wipe", exact=True).click()
    slider = page.get_by_role("slider", name="Wipe between source and edit")

    slider.focus()
    slider.press("End")
    source = pixels(page.locator("#gallery .edit .pic"))
    slider.press("Home")
    edit = pixels(page.locator("#gallery .edit .pic"))

    assert slider.get_attribute("aria-valuetext") == "0 % source, 100 % edit"
    assert distance(source, edit) > SEEN
    # The middle of a row that is sky in one and ear in the other; larger here, so compared by its colour alone.
    assert abs(source.mean(axis=(0, 1)) - side_by_side.mean(axis=(0, 1))).max() < SEEN


def test_a_service_that_is_busy_is_asked_again_when_it_says(page, watched):
    watched.expected.append("503")
    names = []

    def busy(route):
        if route.request.method != "POST":
            return route.continue_()
        names.append(route.request.headers["idempotency-key"])
        if len(names) > 1:
            return route.continue_()
        problem = {"status": 503, "code": "queue_full", "detail": "too many wait: try again in a moment"}
        return route.fulfill(status=503, headers={"Retry-After": "10"}, json=problem)

    page.route("**/v1/edits", busy)
    start(page, steps=2)
    page.get_by_text("Too many wait: try again in a moment. Sent again in").wait_for()

    finished(page)
    assert len(names) == 2
    assert len(set(names)) == 1


def test_a_lost_stream_is_taken_up_after_the_last_event_that_was_seen(page, watched):
    watched.expected.append("net::ERR_CONNECTION_RESET")
    seen, told = [], Event()

    def lossy(route):
        seen.append(route.request.headers.get("last-event-id"))
        if len(seen) == 1:  # one event, and the stream is over
            return route.fulfill(
                content_type="text/event-stream", body='id: 1-1\nevent: queued\ndata: {"status": "queued"}\n\n'
            )
        return route.continue_() if told.is_set() else route.abort("connectionreset")

    page.route("**/events", lossy)
    start(page, steps=30)
    page.get_by_text("The connection was lost.").wait_for()
    told.set()

    finished(page)
    assert (seen[0], set(seen[1:])) == (None, {"1-1"})


def test_an_edit_that_failed_says_why(page, swapped):
    told = {"code": "out_of_memory", "message": "it did not fit: ask for fewer targets"}

    def failed(route):
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "status": "failed", "error": told, "artifacts": []})

    page.route(f"**/v1/edits/{swapped['id']}", failed)
    page.evaluate(f"location.hash = '{swapped['id']}'")

    page.locator(".standing.bad").get_by_text("This edit failed: it did not fit: ask for fewer targets.").wait_for()


def test_a_service_that_does_not_answer_is_told_of(page, watched):
    watched.expected += ["net::ERR_FAILED", "net::ERR_INTERNET_DISCONNECTED"]
    page.context.set_offline(True)

    start(page)
    page.get_by_text("Sent again in").wait_for()
    page.get_by_role("button", name="Cancel", exact=True).click()

    page.get_by_role("button", name="Run", exact=True).wait_for()
    page.context.set_offline(False)


def test_an_example_fills_the_fields(page):
    page.get_by_role("group", name="Examples").get_by_role("button", name="Fader").click()
    page.locator(".word .weight").first.wait_for()

    weights = [target["edits"][0]["weights"][0]["weight"] for target in body(page)["targets"]]
    assert weights == [0, 3]
    page.get_by_role("group", name="Examples").get_by_role("button", name="Photo").click()
    page.get_by_alt_text("The photo that is edited").wait_for()
    assert body(page)["source"]["image"]["upload"].startswith("img_")


def test_a_theme_that_is_chosen_stays(page):
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)

    page.get_by_role("button", name="Colours: as the system says").click()
    page.get_by_role("button", name="Colours: light").click()
    page.get_by_role("button", name="Colours: dark").wait_for()
    dark = page.evaluate(paper)
    page.reload()

    page.get_by_role("button", name="Colours: dark").wait_for()
    assert page.evaluate(paper) == dark != light


def test_a_photo_that_the_browser_cannot_show_is_shown_as_it_is_kept(page):
    chooser = page.get_by_label("A photo to edit")
    assert {".heic", "image/heic", "image/avif"} <= set(chooser.get_attribute("accept").split(","))

    chooser.set_input_files(FILES / "plain.heic")

    # The policy of the page forbids Playwright's own way to wait for an expression.
    kept = page.locator(".photo-kept img[src^='http']")
    kept.wait_for()
    assert kept.evaluate("async (image) => (await image.decode(), image.naturalWidth)") == 48
    assert body(page)["source"]["image"]["upload"].startswith("img_")
