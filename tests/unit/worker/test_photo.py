"""A picture that was not generated, edited by a real (tiny) model in an in-memory plane."""

import io
import json
from datetime import timedelta

import numpy as np
import pytest
from diffusers import EulerDiscreteScheduler
from PIL import Image

from jobs import moves
from jobs.images import image_key, mask_key
from jobs.model import JobStatus, new_job
from jobs.redis.store import Begun, Watch
from p2p.spec import METHODS, EditSpec, Source
from tests import families, lora_files
from tests.unit.worker.test_fitting import slope
from worker.engine import Engine
from worker.moderation import Judge
from worker.sampler import ModelSampler
from worker.tasks import WorkerContext, run_edit, set_context

pytestmark = pytest.mark.needs("latents")


UPLOAD = "img_" + "0" * 32
STEPS = 3


def photo_spec(*prompts: str, fit: str = "cover", **changes) -> EditSpec:
    return EditSpec.model_validate(
        {
            "model": "tiny",
            "source": {"prompt": "a cat", "image": {"upload": UPLOAD, "fit": fit}},
            "targets": [{"prompt": prompt, "edits": [{"kind": "replace"}]} for prompt in prompts],
            "sampling": {"steps": STEPS, "guidance_scale": 3.0, "height": 32, "width": 32},
            "artifacts": {"heatmaps": False, "raw_maps": False},
        }
        | changes
    )


@pytest.fixture
def family(build):
    return families.counted(build())


@pytest.fixture
def serve(plane, family):
    """Works a job off, by this worker or by another that shares the plane with it."""

    def post(model, judge: Judge) -> WorkerContext:
        return WorkerContext(
            model="tiny",
            engine=Engine(ModelSampler(model), plane.declaration, revision="sha256:0123", judge=judge),
            store=plane.store,
            queue=plane.queue,
            storage=plane.storage,
            sources=plane.sources,
            patience=plane.declaration.patience,
            drain=plane.drain,
        )

    def work(spec: EditSpec, model=family, judge: Judge = Judge(), owner: str = "somebody"):  # noqa: B008
        job = new_job(spec, lifetime=timedelta(hours=1), owner=owner)
        plane.store.create(job)
        set_context(post(model, judge))
        run_edit(job.id)
        return plane.store.get(job.id)

    yield work
    set_context(None)


@pytest.fixture
def picture(plane) -> Image.Image:
    """The picture that was sent, larger than the model's and of another shape."""
    image, file = slope((90, 60)), io.BytesIO()
    image.save(file, "PNG")
    plane.storage.put(image_key(UPLOAD), file.getvalue(), "image/png")
    return image


@pytest.fixture
def file_of(plane):
    def read(job, name: str) -> bytes:
        (key,) = (artifact.key for artifact in job.artifacts if artifact.name == name)
        return plane.storage.read(key)

    return read


def test_a_picture_is_edited_and_comes_back_at_its_own_size(serve, picture, file_of):
    job = serve(photo_spec("a dog", "a car"))

    assert job.status is JobStatus.SUCCEEDED, job.error
    assert [artifact.name for artifact in job.artifacts] == ["source.png", "edit-1.png", "edit-2.png", "manifest.json"]
    pictures = [np.asarray(Image.open(io.BytesIO(file_of(job, f"{n}.png")))) for n in ("source", "edit-1", "edit-2")]
    assert {each.shape for each in pictures} == {(60, 90, 3)}
    # 90x60 has a square of 60 in its middle, from column 15 on; what is outside stays.
    for each in pictures:
        assert np.array_equal(each[:, :15], np.asarray(picture)[:, :15])
        assert np.array_equal(each[:, 75:], np.asarray(picture)[:, 75:])
    assert not np.array_equal(pictures[0], pictures[1])


def test_how_faithfully_the_picture_comes_back_is_said(serve, picture, file_of):
    job = serve(photo_spec("a dog"))

    manifest = json.loads(file_of(job, "manifest.json"))
    said = job.reconstruction
    # direct: the source is the picture, but for what the autoencoder loses
    assert (said.psnr, said.ssim) == (said.autoencoder_psnr, said.autoencoder_ssim)
    assert said.inversion == "made"
    assert manifest["source"] == "inverted"
    assert manifest["image"]["reconstruction"] == said.model_dump()
    assert manifest["image"]["inversion"]["method"] == "direct"
    assert manifest["image"]["inversion"]["unet_evaluations"] == 2 * STEPS
    assert (manifest["image"]["size"], manifest["image"]["box"]) == ([90, 60], [15, 0, 75, 60])


def test_previews_of_a_photos_edit_come_though_its_inversion_has_ended_before(serve, picture, plane, monkeypatch):
    monkeypatch.setattr("worker.previews.Thread", AtOnce)
    job = serve(photo_spec("a dog", artifacts={"heatmaps": False, "raw_maps": False, "previews": 2}))

    told = [event for event in plane.store.told[job.id] if event.startswith("preview")]
    assert [event.split()[1] for event in told] == [f"{2 * STEPS + step}/{3 * STEPS}" for step in (1, 2)]


class AtOnce:
    """A thread that has ended when it is started."""

    def __init__(self, *, target, **_) -> None:
        self.start, self.is_alive = target, lambda: False


def test_the_steps_of_the_inversion_are_told_before_those_of_the_edit(serve, picture, plane, monkeypatch):
    monkeypatch.setattr("worker.publishing.FOLLOWED_INTERVAL", 0)
    monkeypatch.setattr(plane.store, "begin", lambda move: Begun(plane.store.make(move), True))
    monkeypatch.setattr(plane.store, "watch", lambda job_id: Watch(plane.store.get(job_id).execution, False, True))
    job = serve(photo_spec("a dog"))

    told = [event for event in plane.store.told[job.id] if event.startswith("progress")]
    assert told == [f"progress {step}/{3 * STEPS}" for step in range(1, 3 * STEPS + 1)]


def test_a_second_edit_of_the_picture_spends_no_step_on_inverting_it_also_on_another_worker(
    serve, picture, family, build
):
    first = serve(photo_spec("a dog"))
    spent = family.rows
    other = families.counted(build())
    second = serve(photo_spec("a car"), other)

    # One edit of a kept source: two rows of the edit a step, and at most one of the source.
    assert spent > 2 * STEPS
    assert other.rows == spent - 2 * STEPS
    assert (first.reconstruction.inversion, second.reconstruction.inversion) == ("made", "kept")
    assert second.progress.steps == STEPS


def test_the_same_edit_is_the_same_picture_whether_the_inversion_was_made_or_kept(serve, picture, file_of):
    made, kept = serve(photo_spec("a dog")), serve(photo_spec("a dog"))

    assert made.reconstruction.psnr == kept.reconstruction.psnr
    for name in ("source.png", "edit-1.png"):
        assert file_of(made, name) == file_of(kept, name)


def test_an_inversion_is_made_ahead_by_an_edit_without_targets(serve, picture, family, file_of):
    ahead = serve(photo_spec())
    inverted = family.rows
    edited = serve(photo_spec("a dog"))

    assert (ahead.status, edited.status) == (JobStatus.SUCCEEDED, JobStatus.SUCCEEDED)
    assert [artifact.name for artifact in ahead.artifacts] == ["source.png", "manifest.json"]
    assert inverted == 2 * STEPS
    assert edited.reconstruction.inversion == "kept"


@pytest.mark.parametrize(("fit", "seen"), [("cover", slice(15, 75)), ("contain", slice(0, 90))])
def test_heat_maps_of_a_picture_have_its_shape_and_are_dark_where_the_model_did_not_see_it(
    serve, picture, file_of, fit, seen
):
    job = serve(photo_spec("a dog", fit=fit, artifacts={}))

    (name,) = (each.name for each in job.artifacts if each.kind == "heatmap" and each.picture and each.word == "dog")
    light = np.asarray(Image.open(io.BytesIO(file_of(job, name))).convert("L").resize((90, 60), Image.Resampling.BOX))
    unseen = np.ones(90, bool)
    unseen[seen] = False
    assert light.shape == (60, 90)
    assert light[:, unseen].max(initial=0) < light[:, seen].max()


def test_the_words_of_a_source_alone_have_their_maps(serve, picture):
    job = serve(photo_spec(artifacts={}))

    assert [artifact.word for artifact in job.artifacts if artifact.kind == "heatmap"] == ["a", "cat"]


@pytest.mark.parametrize(
    "changes",
    [
        {"sampling": {"steps": 4, "guidance_scale": 3.0, "height": 32, "width": 32}},
        {"inversion": {"method": "ddim"}},
        {"source": {"prompt": "a car", "image": {"upload": UPLOAD}}},
        {"source": {"prompt": "a cat", "image": {"upload": UPLOAD, "fit": "contain"}}},
    ],
)
def test_what_determines_an_inversion_makes_another_one(serve, picture, changes):
    serve(photo_spec("a dog"))

    assert serve(photo_spec("a dog", **changes)).reconstruction.inversion == "made"


@pytest.fixture
def lora(family, build, tmp_path_factory) -> str:
    """The id of a LoRA that the model offers."""
    file = tmp_path_factory.mktemp("loras") / "ink.safetensors"
    family.loras.files["ink"] = str(lora_files.saved(file, lora_files.trained(build(), text=False)))
    return "ink"


def test_an_inversion_serves_the_edits_with_its_loras_and_no_others(serve, picture, plane, lora):
    asked = [(), ({"id": lora},), ({"id": lora, "weight": 0.5},)]
    for loras in asked:
        ahead = serve(photo_spec(loras=loras))
        assert (ahead.status, ahead.reconstruction.inversion) == (JobStatus.SUCCEEDED, "made")

    for loras in asked:
        assert serve(photo_spec("a dog", loras=loras)).reconstruction.inversion == "kept"
    assert [inversion.loras for inversion in plane.sources.inversions] == [
        photo_spec(loras=loras).loras for loras in asked
    ]


def test_the_manifest_of_an_inversion_names_its_loras(serve, picture, file_of, lora):
    ahead, edited = serve(photo_spec(loras=({"id": lora},))), serve(photo_spec("a dog", loras=({"id": lora},)))

    (said,) = json.loads(file_of(ahead, "manifest.json"))["model"]["loras"]
    assert (said["id"], said["weight"]) == (lora, 1.0)
    assert json.loads(file_of(edited, "manifest.json"))["model"]["loras"] == [said]


def test_an_inversion_is_its_owners_alone(serve, picture):
    serve(photo_spec("a dog"))

    assert serve(photo_spec("a dog"), owner="somebody else").reconstruction.inversion == "made"


@pytest.mark.parametrize("method", ["direct", "ddim", "null_text", "negative_prompt", "edit_friendly"])
def test_every_inversion_can_be_asked_for(serve, picture, method):
    spec = photo_spec("a dog", inversion={"method": method})

    assert [serve(spec).reconstruction.inversion for _ in range(2)] == ["made", "kept"]


def test_the_names_in_a_spec_are_those_of_the_inversions():
    from typing import get_args

    from p2p.inversion import DEFAULT, OF_STATE
    from p2p.spec import Direct, InversionMethod

    assert set(get_args(InversionMethod)) == set(METHODS) == {name for rows in OF_STATE.values() for name in rows}
    assert Direct().method == DEFAULT


def test_a_model_of_another_scheduler_inverts_by_ddim(serve, picture, file_of, build):
    pipeline = build()
    pipeline.scheduler = EulerDiscreteScheduler(beta_schedule="scaled_linear")
    sampling = {"steps": STEPS, "guidance_scale": 3.0, "height": 32, "width": 32, "scheduler": "ddim"}

    job = serve(photo_spec("a dog", sampling=sampling), families.counted(pipeline))

    assert job.status is JobStatus.SUCCEEDED, job.error
    assert job.reconstruction.psnr == job.reconstruction.autoencoder_psnr
    assert json.loads(file_of(job, "manifest.json"))["scheduler"] == "ddim"


def test_a_picture_that_is_gone_ends_its_edit(serve):
    job = serve(photo_spec("a dog"))

    assert (job.status, job.error.code) == (JobStatus.FAILED, "image_gone")


MASK = "img_" + "1" * 32


@pytest.fixture
def mask(plane) -> Image.Image:
    """Of the picture, at another resolution: white in a box in its middle."""
    image, file = Image.new("RGB", (180, 120)), io.BytesIO()
    image.paste((255, 255, 255), (60, 30, 120, 90))
    image.save(file, "PNG")
    plane.storage.put(image_key(MASK), file.getvalue(), "image/png")
    return image


def pixels(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def masked(fit: str = "cover") -> EditSpec:
    blend = {"mask": {"upload": MASK}, "start": 0}
    target = {"prompt": "a dog", "edits": [{"kind": "replace"}], "local_blend": blend}
    return photo_spec(fit=fit, targets=[target, {"prompt": "a dog", "edits": [{"kind": "replace"}]}])


@pytest.mark.parametrize("fit", ["cover", "contain"])
@pytest.mark.parametrize("method", ["direct", "ddim"])
def test_outside_of_its_mask_a_picture_comes_back_as_it_was_sent(serve, picture, mask, file_of, fit, method):
    job = serve(masked(fit).model_copy(update={"inversion": METHODS[method]()}))

    assert job.status is JobStatus.SUCCEEDED, job.error
    sent, within, free = np.asarray(picture), *(pixels(file_of(job, f"edit-{n}.png")) for n in (1, 2))
    outside = np.ones(sent.shape[:2], bool)
    outside[15:45, 30:60] = False
    assert np.array_equal(within[outside], sent[outside])
    assert not np.array_equal(within[~outside], sent[~outside])
    assert not np.array_equal(free[outside], sent[outside])
    assert np.array_equal(pixels(file_of(job, "masks/edit-1.png")), np.where(outside, 0, 255))


def test_a_box_leaves_a_picture_outside_as_it_was_sent(serve, picture, file_of):
    box = {"left": 0.5, "top": 0, "right": 1, "bottom": 1}
    target = {"prompt": "a dog", "edits": [{"kind": "replace"}], "local_blend": {"box": box, "start": 0}}
    job = serve(photo_spec(targets=[target]))

    sent, edited = np.asarray(picture), pixels(file_of(job, "edit-1.png"))
    assert np.array_equal(edited[:, :45], sent[:, :45])
    assert not np.array_equal(edited[:, 45:75], sent[:, 45:75])
    mask = pixels(file_of(job, "masks/edit-1.png"))
    # What "cover" cuts off is no part of it: the model did not see it.
    assert (mask[:, :45].max(), mask[:, 45:75].min(), mask[:, 75:].max()) == (0, 255, 0)


def test_a_mask_of_a_generated_picture_is_a_mask_of_all_of_it(serve, plane, file_of):
    image, file = Image.new("RGB", (64, 64)), io.BytesIO()
    image.paste((255, 255, 255), (10, 20, 40, 50))
    image.save(file, "PNG")
    plane.storage.put(image_key(MASK), file.getvalue(), "image/png")
    job = serve(masked().model_copy(update={"source": Source(prompt="a cat")}))

    assert job.status is JobStatus.SUCCEEDED, job.error
    source, within = (pixels(file_of(job, name)) for name in ("source.png", "edit-1.png"))
    outside = np.ones((32, 32), bool)
    outside[10:25, 5:20] = False
    assert np.array_equal(within[outside], source[outside])
    assert not np.array_equal(within[~outside], source[~outside])
    assert np.array_equal(pixels(file_of(job, "masks/edit-1.png")), np.where(outside, 0, 255))


def test_a_mask_that_is_gone_ends_its_edit(serve, picture):
    job = serve(masked())

    assert (job.status, job.error.code) == (JobStatus.FAILED, "image_gone")


def blended(**blend: object) -> EditSpec:
    return photo_spec(
        targets=[{"prompt": "a dog", "edits": [{"kind": "replace"}], "local_blend": {"start": 0, **blend}}]
    )


@pytest.mark.parametrize(("read_by", "turned"), [("alpha", False), ("transparency", True)])
def test_a_mask_that_is_read_by_its_alpha_is_the_one_that_lies_beside_its_picture(
    serve, picture, mask, plane, file_of, read_by, turned
):
    """The picture, laid on white, says something else."""
    drawn, file = Image.new("1", (90, 60)), io.BytesIO()
    drawn.paste(1, (30, 15, 60, 45))
    drawn.save(file, "PNG")
    plane.storage.put(image_key(MASK), white_png((90, 60)), "image/png")
    plane.storage.put(mask_key(MASK), file.getvalue(), "image/png")

    job = serve(blended(mask={"upload": MASK, "read_by": read_by}))

    assert job.status is JobStatus.SUCCEEDED, job.error
    may_change = np.asarray(drawn) ^ turned
    may_change[:, :15] = may_change[:, 75:] = False  # beside the square that the model is given
    assert np.array_equal(pixels(file_of(job, "masks/edit-1.png")), may_change.astype(np.uint8) * 255)


def test_a_mask_by_alpha_that_is_gone_is_not_read_by_its_colours(serve, picture, mask):
    job = serve(blended(mask={"upload": MASK, "read_by": "alpha"}))

    assert (job.status, job.error.code) == (JobStatus.FAILED, "image_gone")


def white_png(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "white").save(file, "PNG")
    return file.getvalue()


def test_a_mask_of_one_level_that_nobody_looked_at_before_fails_by_name(serve, picture, plane, family):
    plane.storage.put(image_key(MASK), white_png((90, 60)), "image/png")

    job = serve(blended(mask={"upload": MASK}))

    assert (job.status, job.error.code) == (JobStatus.FAILED, "mask_uniform")
    assert family.rows == 0


@pytest.mark.parametrize(
    "blend",
    [
        # 90x60 has a square of 60 in its middle, from column 15 on: beside it the model sees nothing.
        {"box": {"left": 0, "top": 0, "right": 0.1, "bottom": 1}},
        {"mask": {"upload": MASK}, "box": {"left": 0.75, "top": 0, "right": 1, "bottom": 1}},
    ],
)
def test_an_edit_that_may_change_nothing_that_the_model_sees_fails_by_name(serve, picture, mask, family, blend):
    job = serve(blended(**blend))

    assert (job.status, job.error.code) == (JobStatus.FAILED, "nothing_may_change")
    assert '"fit": "contain"' in job.error.message
    assert family.rows == 0


def test_an_inversion_is_canceled_between_two_of_its_steps(serve, picture, plane, family, monkeypatch):
    predict = family.predict

    def asking(*arguments):
        if family.rows == 1:
            (job,) = (each for each in plane.store.all() if each.status is JobStatus.RUNNING)
            plane.store.make(moves.ask_to_stop(job))
        return predict(*arguments)

    monkeypatch.setattr(family, "predict", asking)
    monkeypatch.setattr("worker.publishing.LOOK_INTERVAL", 0)
    job = serve(photo_spec("a dog"))

    assert (job.status, family.rows) == (JobStatus.CANCELED, 2)
    assert plane.sources.inversions == []


def test_a_picture_that_is_refused_is_not_inverted(serve, picture, family):
    def no_pictures(material):
        return None if material.picture is None else "no"

    job = serve(photo_spec("a dog"), judge=Judge(no_pictures))

    assert (job.status, job.error.code) == (JobStatus.FAILED, "moderated")
    assert family.rows == 0


def test_what_does_not_fit_into_memory_is_edited_apart_from_the_same_inversion(serve, picture, family, monkeypatch):
    predict = family.predict

    def small(latents, timestep, conditioning):
        if len(conditioning.prompts) > 3:
            raise MemoryError
        return predict(latents, timestep, conditioning)

    together = serve(photo_spec("a dog", "a car"))
    monkeypatch.setattr(family, "predict", small)
    apart = serve(photo_spec("a dog", "a car"))

    assert [artifact.name for artifact in apart.artifacts] == [artifact.name for artifact in together.artifacts]
    assert apart.status is JobStatus.SUCCEEDED
