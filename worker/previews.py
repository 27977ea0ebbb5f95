"""Shows how a job stands while it runs, beside the run and never in its way.

Judging, writing, storing and announcing are done by a thread, one preview at a time: a preview that comes while the one
before it is still under way is passed over, so that a slow hook or storage costs previews and not time. The first that
fails or must not be shown is the job's last. Previews lie under the prefix of the execution, and go with it; the move
that announces one is the execution's own, so that none is announced once the job has ended or is another's.
"""

import logging
from collections.abc import Sequence
from contextvars import copy_context
from functools import partial
from threading import Event, Thread

import redis
from PIL import Image

from jobs import moves
from jobs.errors import IllegalTransition, JobNotFound, StorageUnavailable
from jobs.model import Job, artifact_key
from jobs.redis.store import JobStore
from jobs.storage import ObjectStorage
from worker.encoding import Encoding, encoded
from worker.events import PreviewReady
from worker.marking import source_type_of_job
from worker.moderation import Judge
from worker.watermark import NO_WATERMARKS, NotMarked, Watermarks

log = logging.getLogger(__name__)

#: Seen for a second and small: Pillow's own middle way. A row of 65 pictures, the most a spec can ask for, is wider
#: than a WebP may be.
ENCODING = Encoding(suffix=".jpg", content_type="image/jpeg", pillow="JPEG", options={"quality": 75})


class Previews:
    """The previews of one execution of a job.

    Args:
        job: as the execution began it.
        judge: says whether the pictures of a preview may be shown; called in a thread.
        watermarks: marks them, in that thread too.
    """

    def __init__(
        self,
        job: Job,
        store: JobStore,
        storage: ObjectStorage,
        judge: Judge,
        watermarks: Watermarks = NO_WATERMARKS,
    ) -> None:
        self._job, self._store, self._storage, self._judge = job, store, storage, judge
        self._watermarks = watermarks
        self._over = Event()
        self._thread: Thread | None = None

    def show(self, preview: PreviewReady) -> None:
        """Have a preview shown, unless one is under way or none is to be shown any more. Returns at once."""
        if self._over.is_set():
            return
        if self._thread is not None and self._thread.is_alive():
            log.info("no preview of step %d: the last one is still under way", preview.step)
            return
        # With the log context of the job, which threads do not inherit.
        work = partial(copy_context().run, self._shown, preview)
        self._thread = Thread(target=work, name=f"preview of {self._job.id}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """No more of them. One under way is not waited for: what it may store still is litter by then."""
        self._over.set()

    def _shown(self, preview: PreviewReady) -> None:
        try:
            if not self._judge.allows_preview(self._job, preview.pictures):
                return self.end()
            marked = [
                self._watermarks.marked(self._job, picture, index, preview=True)
                for index, picture in enumerate(preview.pictures)
            ]
            data = sheet(marked, source_type_of_job(self._job))
            if self._over.is_set():
                return
            key = artifact_key(self._job.id, self._job.execution or "", f"previews/{preview.step:04}{ENCODING.suffix}")
            self._storage.put(key, data, ENCODING.content_type)
            if not self._over.is_set():
                self._store.make(moves.show(self._job, preview.step, preview.steps, key))
        except (IllegalTransition, JobNotFound, NotMarked):
            self.end()
        except (StorageUnavailable, redis.RedisError) as error:
            log.warning("no more previews: %s", error)
            self.end()
        except Exception:
            log.exception("no more previews")
            self.end()


def sheet(pictures: Sequence[Image.Image], source_type: str | None = None) -> bytes:
    """Pictures of one size side by side, as a file that says where they come from."""
    width, height = pictures[0].size
    whole = Image.new("RGB", (width * len(pictures), height))
    for number, picture in enumerate(pictures):
        whole.paste(picture, (number * width, 0))
    return encoded(whole, ENCODING, source_type)
