"""Files of a model on the Hugging Face hub, fetched into the hub's own cache, or found there where the hub is offline.

`huggingface_hub` reads its own environment variables: HF_HOME or HF_HUB_CACHE for the cache, HF_TOKEN for models behind
a licence, HF_HUB_OFFLINE to fetch nothing.
"""

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
        reason = str(error).split("\n")[0]
        raise UnsupportedModel(
            f"{model} at revision {revision} is not in the cache and cannot be fetched ({reason}): "
            f"check both, then fetch it where there is internet: hf download {model} --revision {revision}"
        ) from error


def names(model: str, revision: str) -> Sequence[str]:
    """The paths of a hub id's files at a revision: as the hub lists them, or those in the cache where it is offline."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        return HfApi().list_repo_files(model, revision=revision)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        folder = fetched(model, revision, ["*.json"])
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
