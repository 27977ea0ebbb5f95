"""What clients are shown of a record."""

from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from jobs.model import Artifact, Job, JobError, JobProgress, JobStatus, Notice, Webhook
from jobs.redis.record import encode, plain
from jobs.redis.store import Place
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
    notices=st.lists(st.builds(Notice, code=texts, pointer=texts, detail=texts), max_size=2).map(tuple),
)
places = st.builds(Place, ahead=maybe(numbers), seconds=maybe(st.floats(0, 1e9)))


def url(key: str) -> str:
    return f"http://api.test/v1/artifacts/{key}?signature=0"


@given(jobs, maybe(places))
def test_an_edit_is_shown_from_its_record_as_its_view_says_it(job, place):
    record = plain(encode({name: getattr(job, name) for name in Job.model_fields}))

    assert shown(record, url, place) == EditView.with_urls(job, url, place).model_dump_json().encode()


@given(jobs)
def test_an_accepted_edit_is_shown_as_its_view_says_it(job):
    assert shown_accepted(job) == EditAccepted.of(job).model_dump_json().encode()
