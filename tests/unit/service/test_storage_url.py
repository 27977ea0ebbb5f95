"""STORAGE_URL: what it says is used, and what cannot be used is refused with one line."""

from datetime import timedelta
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from jobs.errors import InvalidStorage
from jobs.storage import open_storage
from jobs.storage_url import s3_address

KEY, MINUTE = "jobs/one/first/source.png", timedelta(minutes=1)


def signed(url: str):
    """The parts of a URL that a storage signs."""
    return urlsplit(open_storage(url).presigned_url(KEY, MINUTE))


@pytest.mark.parametrize(
    ("host", "at"),
    [
        ("h", "h"),
        ("h:9000", "h:9000"),
        ("127.0.0.1:9000", "127.0.0.1:9000"),
        ("[::1]:9000", "[::1]:9000"),
        ("[2001:db8::7]", "[2001:db8::7]"),
        ("storage_1:9000", "storage_1:9000"),
    ],
)
def test_a_host_stays_as_it_is(host, at):
    assert signed(f"s3+http://k:s@{host}/bucket").netloc == at


@pytest.mark.parametrize("public", ["https://files.example.com", "https://files.example.com/", "http://[::1]:9000"])
def test_urls_are_signed_for_the_public_address(public):
    for option in (public, quote(public, safe="")):
        url = signed(f"s3+http://k:s@h:9000/bucket?public={option}")
        assert f"{url.scheme}://{url.netloc}" == public.rstrip("/")


@pytest.mark.parametrize("prefix", ["my prefix", "a+b", "mü/ä ö", "100%", "a%20b", "a&b=c", "q?#", "日本"])
@pytest.mark.parametrize("start", ["s3+http://k:s@h/bucket", "s3://bucket"])
def test_a_prefix_is_decoded_once_and_encoded_once(monkeypatch, prefix, start):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")

    assert signed(f"{start}/{quote(prefix)}").path == f"/bucket/{quote(prefix)}/{KEY}"


@pytest.mark.parametrize("bucket", ["abc", "A.b_c-9", "b" * 63])
def test_a_bucket_of_3_to_63_characters_is_taken(bucket):
    assert s3_address(f"s3+http://k:s@h/{bucket}").bucket == bucket


def test_credentials_are_decoded_once():
    address = s3_address("s3+http://k%2F%40:s%3A%25+@h/bucket")

    assert (address.key, address.secret) == ("k/@", "s:%+")


@pytest.mark.parametrize("token", ["abc", "a+b/c==", "IQoJb3JpZ2luX2VjE+//x=&?"])
@pytest.mark.parametrize("start", ["s3+https://k:s@h/bucket", "s3://bucket"])
def test_temporary_credentials_have_their_token_in_what_is_signed(monkeypatch, start, token):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")

    url = signed(f"{start}?region=eu-west-1&session_token={quote(token, safe='+/=')}")

    assert parse_qs(url.query)["X-Amz-Security-Token"] == [token]
    assert "eu-west-1" in url.query


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "it is empty"),
        (" ", "it is empty"),
        ("s3+http://host/bucket", "the key and the secret are missing"),
        ("s3+http://k@host/bucket", "the secret is missing"),
        ("s3+http://k:hush@host:9000/", "the bucket is missing"),
        ("s3+http://k:hush@host:9000", "the bucket is missing"),
        ("s3+http://k:hush@/bucket", "the host is missing"),
        ("s3+http://", "the key and the secret and the host and the bucket are missing"),
        ("s3+http://k:hush@host:port/bucket", "the port must be a number"),
        ("s3+http://k:hush@host:/bucket", "the port must be a number"),
        ("s3+http://k:hush@host:0/bucket", "the port must be a number"),
        ("s3+http://k:hush@host:99999/bucket", "the port must be a number"),
        ("s3+http://k:hush@::1/bucket", "an IPv6 address stand in brackets"),
        ("s3+http://k:hush@[::1/bucket", "an IPv6 address stand in brackets"),
        ("s3+http://k:hu/hush@host/bucket", "write %2F"),
        ("s3+http://k:hu#hush@host/bucket", "the port must be a number"),
        ("s3+http://k:hush@host/bucket#x", "write %23"),
        ("s3+http://k:hush@host/buc ket", "write %20"),
        ("s3+http://k:hush@host/b$cket", "may have letters, digits"),
        ("s3+http://k:hush@host/b$", "may have letters, digits"),
        ("s3+http://k:hush@host/.bucket", "must begin with a letter or a digit"),
        ("s3+http://k:hush@host/-", "must begin with a letter or a digit"),
        ("s3+http://k:hush@host/b?public=nonsense", "must have 3 to 63 characters; it has 1"),
        ("s3+http://k:hush@host/bu/prefix", "must have 3 to 63 characters; it has 2"),
        (f"s3+http://k:hush@host/{'b' * 64}", "must have 3 to 63 characters; it has 64"),
        ("s3+http://k:hush@host/bucket/a//b", "the prefix"),
        ("s3+http://k:hush@host/bucket/a/../b", "the prefix"),
        ("s3+http://k:hush@host/bucket/%2E%2E/b", "the prefix"),
        ("s3+http://k:hush@host/bucket/a%0Ab", "the prefix"),
        ("s3+http://k:hush@host/bucket/%FF", "not UTF-8"),
        ("s3+http://k:hush@host/bucket?regoin=eu", "the option regoin is not known; known are region, public, session"),
        ("s3+http://k:hush@host/bucket?Region=eu", "the option Region is not known"),
        ("s3+http://k:hush@host/bucket?token=hush", "the option token is not known"),
        ("s3+http://k:hush@host/bucket?region=", "the option region is empty"),
        ("s3+http://k:hush@host/bucket?region=a&region=b", "given twice"),
        ("s3+http://k:hush@host/bucket?region=eu%20west", "the option region may have"),
        ("s3+http://k:hush@host/bucket?public=files.example.com", "the option public"),
        ("s3+http://k:hush@host/bucket?public=https://", "the option public"),
        ("s3+http://k:hush@host/bucket?public=https://x:y", "the option public"),
        ("s3+http://k:hush@host/bucket?public=https://x?y=z", "the option public"),
        ("s3://", "the bucket is missing"),
        ("s3:///prefix", "the bucket is missing"),
        ("s3:/bucket", "no // after its scheme"),
        ("s3+http:k:hush@host/bucket", "no // after its scheme"),
        ("s3://k:hush@bucket", "takes its credentials from the environment"),
        ("s3://bucket?regoin=eu", "the option regoin is not known; known are region, session_token"),
        ("s3://bucket/a//b", "the prefix"),
        ("gs://bucket?region=eu", "such a URL has none"),
        ("http://minio:9000/bucket", "an S3 server is s3+http://"),
        ("https://minio/bucket", "an S3 server is s3+https://"),
        ("memory:///", "no other process can read"),
        ("gopher://somewhere", "neither a directory nor"),
        ("s3+ftp://k:hush@host/bucket", "neither a directory nor"),
        ("file://server/artifacts", "with three slashes"),
        ("file://", "with three slashes"),
        ("file:", "with three slashes"),
        ("file:artifacts", "with three slashes"),
        ("file:///tmp/artifacts?region=eu", "with three slashes"),
        ("/dev/null/artifacts", "cannot be made"),
    ],
)
def test_what_cannot_be_used_is_refused_with_one_line_and_no_secret(url, says):
    with pytest.raises(InvalidStorage, match=r"^STORAGE_URL cannot be used: ") as refused:
        open_storage(url)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "hush" not in str(refused.value)
