"""The client's types are the service's answers."""

import pytest

from jobs import catalogue, images, model, usage
from p2p.spec import LoraUse
from p2p_client import alignments as client_alignments
from p2p_client import results
from service.alignments import aligning as alignments
from service.batches import bodies as batch_bodies
from service.edits import answers
from service.images import bodies as image_bodies
from service.inversions import bodies as inversion_bodies
from service.models import bodies as model_bodies
from webhooks import messages

PAIRS = [
    (results.Edit, answers.EditView),
    (results.Artifact, answers.ArtifactView),
    (results.QueuePlace, answers.QueuePlace),
    (results.Progress, model.JobProgress),
    (results.EditError, model.JobError),
    (results.Reconstruction, model.Reconstruction),
    (results.Usage, usage.JobUsage),
    (results.EditPage, answers.EditList),
    (results.Image, image_bodies.ImageView),
    (results.AsMask, images.AsMask),
    (results.Inversion, inversion_bodies.InversionView),
    (results.AskedLora, LoraUse),
    (results.Model, model_bodies.ModelView),
    (results.Lora, model_bodies.LoraView),
    (results.ModelDefaults, catalogue.ModelDefaults),
    (results.ModelLimits, catalogue.ModelLimits),
    (results.Batch, batch_bodies.BatchView),
    (results.EditOfBatch, batch_bodies.EditOfBatch),
    (client_alignments.Alignment, alignments.AlignmentView),
    (client_alignments.Name, alignments.NameView),
    (client_alignments.Prompt, alignments.PromptView),
    (client_alignments.AlignedPrompt, alignments.AlignedPromptView),
    (client_alignments.AlignedWord, alignments.AlignedWordView),
    (client_alignments.Word, alignments.WordView),
    (client_alignments.Token, alignments.TokenView),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda kind: kind.__name__)
def test_a_result_has_every_field_of_the_answer_and_no_other(ours, theirs):
    assert set(ours.model_fields) == set(theirs.model_fields)


def test_an_event_has_what_the_service_tells():
    assert set(results.Event.model_fields) == {"id", "name"} | set(answers.EditEvent.model_fields)


def test_a_message_has_what_the_outbox_tells():
    from p2p_client.webhooks import Ended, Message

    assert set(Message.model_fields) == {"id"} | set(messages.EditEnded.model_fields)
    assert set(Ended.model_fields) == set(messages.EndedEdit.model_fields) | set(messages.EndedBatch.model_fields)


def test_an_edits_ends_are_the_services():
    assert {status for status in model.JobStatus if status.is_terminal} == results.ENDS


def test_a_field_of_a_newer_service_is_passed_over():
    assert results.Progress.model_validate({"step": 1, "steps": 2, "eta": 3}) == results.Progress(step=1, steps=2)
