"""What a hook refuses ends as `moderated`, and nothing of it is shown."""

import pytest

from jobs.model import new_job
from p2p.spec import EditSpec
from tests.moderation_hook import judge, yes
from tests.unit.worker.conftest import SPEC
from worker.engine import Engine
from worker.events import ArtifactReady, Drawn, Failed, Finished, Progress, Started
from worker.moderation import InvalidModeration, Judge, load_moderation


@pytest.fixture
def run(plane, sampler):
    """Runs an edit of the tests under a hook, and gives what happens."""

    def ran(hook, source: str = "a cat", target: str = "a dog", **sampling: object) -> list:
        target_of = {"prompt": target, "edits": [{"kind": "refine"}]}
        body = {**SPEC, "source": {"prompt": source}, "targets": [target_of]}
        spec = EditSpec.model_validate({**body, "sampling": {**SPEC["sampling"], **sampling}})
        job = new_job(spec, lifetime=plane.job.lifetime)
        engine = Engine(sampler, plane.declaration, revision="r", judge=Judge(hook))
        return list(engine.run(job))

    return ran


def test_what_is_allowed_is_made(run):
    assert run(judge)[-1] == Finished()


def test_a_prompt_that_is_refused_is_never_run(run, sampler):
    assert run(judge, target="a cat with a knife") == [
        Started(),
        Failed(code="moderated", message="refused: no knives here"),
    ]
    assert sampler.started_from == []


def test_the_negative_prompt_is_judged_too(run):
    assert run(judge, negative_prompt="knife")[-1].code == "moderated"


def test_of_a_picture_that_is_refused_nothing_is_handed_out(run):
    events = run(judge, target="a cat at night")

    assert {type(event) for event in events} == {Started, Progress, Drawn, Failed}
    assert events[-1] == Failed(code="moderated", message="refused: picture 1 is too dark")
    assert not any(isinstance(event, ArtifactReady) for event in events)


def test_every_picture_is_judged_once_with_its_number(run, sampler):
    seen = []

    def note(material) -> None:
        seen.append((material.index, material.seed, material.picture and material.picture.size, material.model))

    run(note)

    assert seen == [(None, None, None, "tiny"), (0, 5, (48, 32), "tiny"), (1, 5, (48, 32), "tiny")]


def test_a_hook_cannot_change_a_picture(run):
    def paint(material) -> None:
        if material.picture is not None:
            material.picture.putpixel((0, 0), (0, 0, 0))

    pictures = [event for event in run(paint) if isinstance(event, ArtifactReady) and event.kind == "image"]

    assert pictures
    assert pictures == [event for event in run(None) if isinstance(event, ArtifactReady) and event.kind == "image"]


@pytest.mark.parametrize("hook", [judge, yes], ids=["raises", "gives something else"])
def test_what_cannot_be_judged_is_not_shown(run, hook, caplog):
    events = run(hook, source="a crash")

    assert [type(event) for event in events] == [Started, Failed]
    assert events[-1].code == "moderation_failed"
    assert "crash" not in events[-1].message + caplog.text  # the hook's own exception repeats the prompt


def test_without_a_hook_everything_is_allowed(run):
    assert run(None, source="a crash", target="a knife at night")[-1] == Finished()


def test_a_setting_names_a_function():
    assert load_moderation("tests.moderation_hook:judge") is judge
    assert load_moderation("") is None


@pytest.mark.parametrize(
    "setting",
    [
        "judge",
        ":judge",
        "tests.moderation_hook",
        "tests.moderation_hook:gone",
        "tests.moderation_hook:NO_FUNCTION",
        "no.such.module:judge",
    ],
)
def test_a_setting_that_names_none_is_refused(setting):
    with pytest.raises(InvalidModeration, match="MODERATION="):
        load_moderation(setting)
