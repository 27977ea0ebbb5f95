"""Files of a model on the Hugging Face hub, fetched into the hub's own cache, or found there where the hub is offline.

`huggingface_hub` reads its own environment variables: HF_HOME or HF_HUB_CACHE for the cache, HF_TOKEN for models behind
a licence, HF_HUB_OFFLINE to fetch nothing.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from p2p.errors import UnsupportedModel


def fetched(model: str, revision: str, patterns: Sequence[str]) -> Path:
    """The directory with a hub id's files that match, at a revision.

    Raises:
        UnsupportedModel: they are not in the cache and cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(patterns)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        if os.path.exists(model):  # False, and no error, where a name is too long or a folder is closed
            what, mend = "is on this machine, and `revision` is for hub ids alone", "take `revision` out"
        elif isinstance(error, HFValidationError):
            what = "is no hub id (owner/name)"
            mend = "correct `path`, or take `revision` out where it is a folder"
        else:
            reason = str(error).split("\n")[0]
            what = f"at revision {revision} is not in the cache and cannot be fetched ({reason})"
            mend = (
                "take `revision` out where it is a folder; else check both, then fetch it where there is internet: "
                f"hf download {model} --revision {revision}"
            )
        raise UnsupportedModel(f"{model} {what}: {mend}") from error


def names(model: str, revision: str) -> Sequence[str]:
    """The paths of a hub id's files at a revision: as the hub lists them, or those in the cache where it is offline."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        return HfApi().list_repo_files(model, revision=revision)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        folder = fetched(model, revision, ["*.json"])
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
