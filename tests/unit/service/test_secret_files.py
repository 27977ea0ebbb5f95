"""Secrets in files: passwords that are made once, and settings read from where Docker and Kubernetes lay them."""

import stat

import pytest

from admin.passwords import make_passwords
from jobs.storage_url import s3_address
from process.redis_url import checked_redis_url
from process.settings import PlaneSettings, settings_or_exit

REDIS, STORAGE = "redis:6379", "storage:9000/artifacts?public=http://127.0.0.1:9000"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a deployment's passwords, with no setting in the environment."""
    for name in ("REDIS_URL", "STORAGE_URL"):
        monkeypatch.delenv(name, raising=False)
    make_passwords(tmp_path, redis=REDIS, storage=STORAGE)
    return tmp_path


def test_what_is_made_is_what_every_part_needs(folder, monkeypatch):
    monkeypatch.setenv("SECRETS_DIR", str(folder / "plane"))
    settings = settings_or_exit(PlaneSettings)
    (password,) = (folder / "redis" / "redis.conf").read_text().removeprefix("requirepass ").split()
    storage = s3_address(settings.storage_url)

    assert checked_redis_url(settings.redis_url) == f"redis://:{password}@redis:6379/0"
    assert len(password) == len(storage.key) == len(storage.secret) == 32
    assert len({password, storage.key, storage.secret}) == 3
    assert (storage.endpoint, storage.public, storage.bucket) == (
        "http://storage:9000",
        "http://127.0.0.1:9000",
        "artifacts",
    )
    auth = (folder / "storage" / "auth.env").read_text()
    # A shell takes the outer quotes off, rclone the inner ones.
    assert auth == f"RCLONE_AUTH_KEY='\"{storage.key},{storage.secret}\"'\n"


def test_what_was_made_is_kept_and_addresses_may_change(folder):
    before = {path: path.read_text() for path in folder.rglob("*") if path.is_file()}
    make_passwords(folder, redis="elsewhere:6380", storage=STORAGE)
    after = {path: path.read_text() for path in folder.rglob("*") if path.is_file()}

    changed = {path for path in before if before[path] != after[path]}
    assert changed == {folder / "plane" / "redis_url"}
    assert after[folder / "plane" / "redis_url"] == before[folder / "plane" / "redis_url"].replace(
        REDIS, "elsewhere:6380"
    )


def test_two_deployments_have_different_passwords_and_nobody_else_reads_them(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    make_passwords(other, redis=REDIS, storage=STORAGE)

    assert (other / "redis" / "redis.conf").read_text() != (folder / "redis" / "redis.conf").read_text()
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()} == {0o600}


@pytest.mark.parametrize("text", ["", "requirepass \n", "requirepass one two\n", "requirepass a\nport 1\n"])
def test_a_file_that_somebody_changed_ends_it_with_one_line(folder, text):
    (folder / "redis" / "redis.conf").write_text(text)

    with pytest.raises(SystemExit, match=r"redis\.conf is not what this command wrote"):
        make_passwords(folder, redis=REDIS, storage=STORAGE)


def test_a_variable_goes_before_a_file_and_a_file_may_have_the_variables_name(tmp_path, monkeypatch):
    (tmp_path / "REDIS_URL").write_text("redis://:of-the-file@host:6379/1\n")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)
    assert settings_or_exit(PlaneSettings).redis_url == "redis://:of-the-file@host:6379/1"

    monkeypatch.setenv("REDIS_URL", "redis://of-the-variable:6379/1")
    assert settings_or_exit(PlaneSettings).redis_url == "redis://of-the-variable:6379/1"


def test_a_file_with_a_wrong_setting_is_named_without_its_password(tmp_path, monkeypatch):
    (tmp_path / "redis_url").write_text("redis://:hush-hush@/0")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)

    with pytest.raises(SystemExit, match=r"REDIS_URL: .*the host is missing") as ended:
        settings_or_exit(PlaneSettings)
    assert "hush-hush" not in str(ended.value)


def test_a_file_that_cannot_be_read_ends_the_process_with_one_line(tmp_path, monkeypatch):
    (tmp_path / "redis_url").write_bytes(b"redis://:hush-hush\xff@host/0")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)

    with pytest.raises(SystemExit, match=r'^SECRETS_DIR: .* cannot be read: .*"redis_url"') as ended:
        settings_or_exit(PlaneSettings)
    assert "hush" not in str(ended.value)
    assert "\n" not in str(ended.value)


@pytest.mark.parametrize("given", ["/nowhere/at/all", "file"])
def test_a_folder_that_is_not_there_ends_the_process_with_one_line(tmp_path, monkeypatch, given):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path / given))

    with pytest.raises(SystemExit, match=r"^SECRETS_DIR: .* is no directory"):
        settings_or_exit(PlaneSettings)
