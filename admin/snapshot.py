"""`python -m admin snapshot`: has Redis write all it holds into one file, and says where it is (docs/restore.md)."""

import time
from pathlib import PurePosixPath
from typing import Any, cast

import redis

#: Seconds between two looks whether the file is written.
LOOK = 0.1


class SnapshotFailed(redis.RedisError):
    """Redis could not write the file."""


def snapshot(client: redis.Redis) -> str:
    """The path of a new snapshot, on Redis's own machine; it holds everything that was written before the call.

    Raises:
        SnapshotFailed: Redis could not write it, most often for want of space or memory.
        redis.RedisError: it does not answer, or does not let this user (a managed one has snapshots of its own).
    """
    config = cast(dict[str, str], client.config_get("dir", "dbfilename"))
    # One that is being written began before the call. And Redis says in whole seconds when the last one was written.
    while _persistence(client)["rdb_bgsave_in_progress"] or _last(client) >= cast(Any, client.time())[0]:
        time.sleep(LOOK)
    before = _last(client)
    client.bgsave(schedule=True)
    while _last(client) == before:
        about = _persistence(client)
        # One that is put off until a rewrite of the append-only file is over has not failed, whatever the last one did.
        is_under_way = about["rdb_bgsave_in_progress"] or about["aof_rewrite_in_progress"]
        if about["rdb_last_bgsave_status"] != "ok" and not is_under_way:
            raise SnapshotFailed("Redis could not write its snapshot: its log says why")
        time.sleep(LOOK)
    return str(PurePosixPath(config["dir"], config["dbfilename"]))


def _persistence(client: redis.Redis) -> dict[str, Any]:
    return cast(dict[str, Any], client.info("persistence"))


def _last(client: redis.Redis) -> int:
    return int(_persistence(client)["rdb_last_save_time"])
