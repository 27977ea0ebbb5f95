"""`python -m admin.passwords FOLDER --redis HOST:PORT --storage HOST:PORT/BUCKET`: the passwords of a deployment.

Makes a password for Redis and a key for an S3 server, once, and says them to nobody: each part finds its own in files.

    FOLDER/redis/redis.conf       what a Redis or Valkey server reads: `requirepass ...`
    FOLDER/storage/auth.env       what `rclone serve s3` is given: RCLONE_AUTH_KEY
    FOLDER/plane/redis_url        the settings that every process of the service reads (SECRETS_DIR=FOLDER/plane)
    FOLDER/plane/storage_url

What is there is kept, so that it may run at every start; the URLs are written anew, for addresses may have changed.
Mount each folder where its files are needed and nowhere else: on any other machine than this one, they are what keeps
strangers out.
"""

import argparse
import os
import re
from pathlib import Path
from secrets import token_hex

#: Characters of a password: 128 bits.
_BYTES = 16
#: The files as this command writes them.
_REDIS = re.compile(r"requirepass (\w+)\n")
_STORAGE = re.compile(r"RCLONE_AUTH_KEY='\"(\w+),(\w+)\"'\n")


def make_passwords(folder: Path, *, redis: str, storage: str) -> None:
    """Makes what is missing, and writes the URLs.

    Args:
        redis: HOST:PORT of the server.
        storage: HOST:PORT/BUCKET of the S3 server, with the options of `STORAGE_URL` behind a question mark.
    """
    password = _kept(folder / "redis" / "redis.conf", "requirepass {0}\n", _REDIS)[0]
    key, secret = _kept(folder / "storage" / "auth.env", "RCLONE_AUTH_KEY='\"{0},{1}\"'\n", _STORAGE)
    _write(folder / "plane" / "redis_url", f"redis://:{password}@{redis}/0\n")
    _write(folder / "plane" / "storage_url", f"s3+http://{key}:{secret}@{storage}\n")


def _kept(path: Path, form: str, written: re.Pattern[str]) -> tuple[str, ...]:
    """The secrets in a file, which is made where it is missing.

    Raises:
        SystemExit: the file holds something else.
    """
    if not path.exists():
        _write(path, form.format(token_hex(_BYTES), token_hex(_BYTES)))
    found = written.fullmatch(path.read_text(encoding="ascii"))
    if found is None:
        raise SystemExit(f"{path} is not what this command wrote: mend it, or move it away and start all parts again")
    return found.groups()


def _write(path: Path, text: str) -> None:
    """The whole text or none of it: a start that is cut short leaves no half of a password."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="ascii")
    os.replace(draft, path)


def main() -> None:
    """Make what is missing in the folder that is named."""
    parser = argparse.ArgumentParser(prog="python -m admin.passwords", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--redis", required=True, metavar="HOST:PORT")
    parser.add_argument("--storage", required=True, metavar="HOST:PORT/BUCKET")
    arguments = parser.parse_args()
    make_passwords(arguments.folder, redis=arguments.redis, storage=arguments.storage)


if __name__ == "__main__":
    main()
