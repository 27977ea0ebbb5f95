"""What clients are shown of a record."""

import json
from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from jobs.model import Artifact, Job, JobError, JobProgress, JobStatus, Notice, Webhook
from jobs.redis.record import encode, plain, plain_of
from jobs.redis.store import Place
from jobs.usage import JobUsage
from p2p.spec import RECORDED
from service.edits.answers import EditAccepted, EditView
from service.edits.views import shown, shown_accepted
from tests.specs import maybe, specs, texts

moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
numbers = st.integers(0, 2**31)
artifacts = st.builds(
    Artifact,
    name=texts,
    kind=st.sampled_from(get_args(Artifact.model_fields["kind"].annotation)),
    key=texts,
    content_type=texts,
    bytes=numbers,
    picture=maybe(numbers),
    word=maybe(texts),
    occurrence=maybe(numbers),
)
jobs = st.builds(
    Job,
    id=st.uuids().map(lambda each: each.hex),
    owner=texts,
    status=st.sampled_from(JobStatus),
    attempt=numbers,
    execution=maybe(texts),
    model=texts,
    spec=specs(),
    progress=maybe(st.builds(JobProgress, step=numbers, steps=numbers)),
    artifacts=st.lists(artifacts, max_size=4).map(tuple),
    error=maybe(st.builds(JobError, code=texts, message=texts)),
    cancel_requested=st.booleans(),
    created_at=moments,
    queue_limit=st.timedeltas(timedelta(0), timedelta(days=400)),
    start_by=moments,
    started_at=maybe(moments),
    finished_at=maybe(moments),
    expires_at=moments,
    lifetime=st.timedeltas(timedelta(0), timedelta(days=400)),
    message=maybe(texts),
    revision=numbers,
    traceparent=maybe(texts),
    webhook=maybe(st.builds(Webhook, url=texts)),
    usage=maybe(st.builds(JobUsage, gpu_seconds=st.floats(0, 1e6), steps=numbers, rows=numbers, bytes_stored=numbers)),
    notices=st.lists(st.builds(Notice, code=texts, pointer=texts, detail=texts), max_size=2).map(tuple),
)
places = st.builds(Place, ahead=maybe(numbers), seconds=maybe(st.floats(0, 1e9)))


def url(key: str) -> str:
    return f"http://api.test/v1/artifacts/{key}?signature=0"


@given(jobs, maybe(places))
def test_an_edit_is_shown_as_its_view_describes_it(job, place):
    record = plain(encode({name: getattr(job, name) for name in Job.model_fields}))

    text = shown(record, url, place)

    # Read and written again by the model that openapi.yaml is made of, nothing is missing, added or in another form.
    assert text == EditView.model_validate_json(text, context=RECORDED).model_dump_json().encode()
    said = json.loads(text)
    assert {name: said[name] for name in said.keys() & Job.model_fields.keys() - {"artifacts"}} == {
        name: value for name, value in from_json(to_json(job)).items() if name in said and name != "artifacts"
    }
    assert [each["url"] for each in said["artifacts"]] == [url(artifact.key) for artifact in job.artifacts]
    waits = place is not None and place.ahead is not None
    assert said["queue"] == ({"ahead": place.ahead, "starts_in": place.seconds} if waits else None)


@given(jobs)
def test_a_job_is_shown_as_its_record_is(job):
    assert plain_of(job) == plain(encode({name: getattr(job, name) for name in Job.model_fields}))


@given(jobs)
def test_an_accepted_edit_is_shown_as_its_view_says_it(job):
    assert shown_accepted(job) == EditAccepted.of(job).model_dump_json().encode()
