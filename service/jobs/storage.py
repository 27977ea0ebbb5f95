"""The old place of `jobs.storage`, kept for one version."""

from jobs.storage import open_storage as open_storage
