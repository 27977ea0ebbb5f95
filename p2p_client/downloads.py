"""An edit's artifacts, as files."""

from collections.abc import Collection
from functools import partial
from pathlib import Path
from urllib.parse import urljoin

from p2p_client.asking import Api, attempted
from p2p_client.effects import Operation, Send, Work
from p2p_client.errors import BadAnswer, JobFailed, NotEnded, NotFound, Refused
from p2p_client.operations import get
from p2p_client.results import Artifact, Edit


def download(
    api: Api, edit: Edit | str, folder: str | Path, *, kinds: Collection[str] | None = None
) -> Operation[list[Path]]:
    """Fetches an edit's artifacts into a folder, under their names, and gives their paths in the edit's order.

    The key is not sent along, for their addresses are signed and may be another host's, such as a bucket's. Where one
    is over, the edit is fetched again for a new one.

    Args:
        kinds: which ones: "image", "heatmap", "mask", "maps", "manifest", "trajectory"; all where absent.
    Raises:
        JobFailed, NotEnded: the edit has not succeeded.
        NotFound: it was erased.
    """
    if isinstance(edit, str) or edit.status != "succeeded" or not edit.artifacts:
        edit = yield from get(api, edit)
    if edit.status != "succeeded":
        raise JobFailed(edit) if edit.has_ended else NotEnded(edit, 0)
    paths, addresses = [], {artifact.name: artifact.url for artifact in edit.artifacts}
    for artifact in edit.artifacts:
        if kinds is not None and artifact.kind not in kinds:
            continue
        path = _within(Path(folder), artifact.name)
        try:
            content = yield from _content(api, artifact, addresses[artifact.name])
        except NotFound:
            raise
        except Refused:
            edit = yield from get(api, edit)
            addresses = {each.name: each.url for each in edit.artifacts}
            content = yield from _content(api, artifact, addresses[artifact.name])
        yield Work(partial(_write, path, content))
        paths.append(path)
    return paths


def _content(api: Api, artifact: Artifact, url: str) -> Operation[bytes]:
    response = yield from attempted(api, Send(method="GET", url=urljoin(f"{api.base_url}/", url), redirected=True))
    if len(response.content) != artifact.bytes:
        raise BadAnswer(f"{artifact.name} came with {len(response.content)} bytes and has {artifact.bytes}")
    return response.content


def _within(folder: Path, name: str) -> Path:
    """Where an artifact goes: a name that leads out of the folder is none of this service's."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise BadAnswer(f"an artifact calls itself {name!r}, which leads out of {folder}")
    return path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Under its name there is never half a file.
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(path)
