"""REDIS_URL: what is wrong is said before anything connects, and no password with it."""

import pytest
import redis
from redis.connection import HiredisRespSerializer

from jobs.redis.schemes import SCHEMES, async_client, client
from process.masked import masked
from process.redis_url import SCHEMES as CHECKED
from process.redis_url import checked_redis_url
from service.connections import Packing, redis_client


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "redis://redis",
        "redis://redis_1:6379/",
        "redis://:pass%40word%2F%3A@host:6379/15",
        "redis://user:p@ss:word@host/0",
        "redis://[::1]:6379/0",
        "redis://[fe80::1%25eth0]/0",
        "redis://host?db=3&protocol=3&client_name=api&socket_timeout=2.5&socket_keepalive=true",
        "rediss://user:secret@host:6380/0?ssl_cert_reqs=none&ssl_check_hostname=false",
        f"rediss://host?ssl_ca_certs={__file__}",
        "unix:///run/redis.sock",
        "unix://user:secret@/run/redis.sock?db=2",
        "redis+sentinel://one/jobs",
        "redis+sentinel://one:26379,two/jobs/3?protocol=3",
        "redis+sentinel://user:p@ss:w/rd@[::1]:26379,[::2]/jobs?db=2",
        "redis+sentinel://one/jobs?sentinel_username=u&sentinel_password=a%40b&sentinel_tls=no",
        f"redis+sentinel://one/jobs?sentinel_tls=true&sentinel_ssl_ca_certs={__file__}",
        f"rediss+sentinel://:p@one/0-jobs/0?ssl_ca_certs={__file__}&sentinel_ssl_cert_reqs=none",
    ],
)
def test_one_server_is_taken_and_redis_py_reads_it(url):
    assert checked_redis_url(url) == url
    client(url).connection_pool.make_connection()
    async_client(url).connection_pool.make_connection()
    redis_client(url, decode_responses=True).connection_pool.make_connection()


def test_the_urls_that_are_checked_are_those_that_can_be_connected():
    assert set(CHECKED) == set(SCHEMES)


def test_a_url_of_sentinels_says_of_the_primary_and_of_them_what_they_need():
    url = (
        "rediss+sentinel://user:p%2Fw@one:1,[::1]/jobs%20here/3"
        "?ssl_ca_path=/of/servers&socket_timeout=2&sentinel_password=a%20b%40&sentinel_ssl_ca_path=/of/sentinels"
    )

    how = SCHEMES["rediss+sentinel"].read(url)
    sentinels = how.pop("sentinels")

    assert how == {
        "username": "user", "password": "p/w", "db": 3, "ssl_ca_path": "/of/servers", "socket_timeout": 2.0
    }  # fmt: skip
    assert sentinels.addresses == (("one", 1), ("::1", 26379))
    assert sentinels.how == {"password": "a b@", "ssl": True, "ssl_ca_path": "/of/sentinels"}


@pytest.mark.parametrize(
    ("scheme", "options", "is_tls"),
    [
        ("redis", "", False),
        ("redis", "?sentinel_tls=true", True),
        ("rediss", "", True),
        ("rediss", "?sentinel_tls=false", False),
    ],
)
def test_sentinels_speak_tls_as_the_servers_do_unless_the_url_says_otherwise(scheme, options, is_tls):
    how = SCHEMES[f"{scheme}+sentinel"].read(f"{scheme}+sentinel://one/jobs{options}")

    assert ("ssl" in how["sentinels"].how) == is_tls


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "rediss://host?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=2",
        "redis+sentinel://one/jobs",
        "rediss+sentinel://one/jobs",
    ],
)
def test_commands_are_packed_in_c_whatever_carries_them(url):
    connection = redis_client(url, decode_responses=True).connection_pool.make_connection()

    # redis-py's own packing of a POST's command takes 20 microseconds.
    assert isinstance(connection, Packing)
    assert connection.pack_command("GET", "a") == [b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n"]


@pytest.mark.parametrize(
    "command",
    [("CONFIG GET", "x"), (b"CONFIG GET", b"x"), ("SET", "é", 1), ("SET", "a", 1.5), ("SET", "a", bytearray(b"b"))],
)
def test_commands_are_packed_as_redis_py_packs_them(command):
    assert Packing().pack_command(*command) == HiredisRespSerializer().pack(*command)


@pytest.mark.parametrize("value", [None, True, {}])
def test_a_value_that_cannot_be_sent_is_refused_as_redis_py_refuses_it(value):
    with pytest.raises(redis.DataError):
        Packing().pack_command("SET", "a", value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "it is empty"),
        (" \t", "it is empty"),
        ("localhost:6379", "no scheme"),
        ("redis:localhost", "no scheme"),
        ("http://host:6379", "http:// is not Redis's"),
        ("rabbitmq://host", "rabbitmq:// is not Redis's"),
        ("redis+sentinel://", "the Sentinels' hosts are missing"),
        ("redis+sentinel:///jobs", "the Sentinels' hosts are missing"),
        ("redis+sentinel://,/jobs", "the Sentinels' hosts are missing"),
        ("redis+sentinel://one:26379", "the name of the primary is missing"),
        ("redis+sentinel://one,two/", "the name of the primary is missing"),
        ("redis+sentinel://one,two/0", "a database and no name of a primary"),
        ("redis+sentinel://one,two/jobs/x", "the number of a database, such as /jobs/0"),
        ("redis+sentinel://one,two/jobs/0/1", "the number of a database"),
        ("redis+sentinel://one,two/jobs/0?db=1", "given twice"),
        ("redis+sentinel://one,,two/jobs", "the hosts cannot be read"),
        ("redis+sentinel://::1/jobs", "the hosts cannot be read"),
        ("redis+sentinel://one:,two/jobs", "each port must be"),
        ("redis+sentinel://one,two:0/jobs", "each port must be"),
        ("redis+sentinel://one,two:65536/jobs", "each port must be"),
        ("redis+sentinel://one,two:\u0663/jobs", "each port must be"),
        ("redis+sentinel://one/jobs?sentinel_pasword=x", "is not known"),
        ("redis+sentinel://one/jobs?sentinel_tls=perhaps", "must be true or false"),
        ("redis+sentinel://one/jobs?sentinel_ssl_cert_reqs=none", "need rediss+sentinel:// or sentinel_tls=true"),
        ("rediss+sentinel://one/jobs?sentinel_tls=no&sentinel_ssl_cert_reqs=none", "need rediss+sentinel://"),
        ("redis+sentinel://one/jobs?ssl_cert_reqs=none", "the option ssl_cert_reqs needs rediss://"),
        ("redis://one/0?sentinel_password=x", "the option sentinel_password needs redis+sentinel://"),
        ("sentinel://one:26379", "sentinel:// is not Redis's"),
        ("redis+cluster://one:7000", "Cluster"),
        ("rediss+cluster://one:7000", "Cluster"),
        ("REDIS://host", "small letters"),
        ("redis://ho st", "spaces"),
        ("redis://host\n", "spaces"),
        ("redis://", "the host is missing"),
        ("redis:///0", "the host is missing"),
        ("redis://:6379/0", "the host is missing"),
        ("redis://::1:6379/0", "the host is missing"),
        ("redis://[::1/0", "the host cannot be read"),
        ("redis://one:1,two:2/0", "several servers"),
        ("redis://host:", "the port must be"),
        ("redis://host:0", "the port must be"),
        ("redis://host:65536", "the port must be"),
        ("redis://host:redis", "the port must be"),
        ("redis://host:-1", "the port must be"),
        ("redis://host/zero", "number of a database"),
        ("redis://host/0/1", "number of a database"),
        ("redis://host/-1", "number of a database"),
        ("redis://host/0?db=1", "given twice"),
        ("redis://host?db=1&db=2", "given twice"),
        ("redis://host?db=x", "the option db must be a number"),
        ("redis://host?databse=1", "the option databse is not known; known are db, "),
        ("redis://host?decode_responses=true", "is not known"),
        ("redis://host?max_connections=4", "is not known"),
        ("redis://host?ssl_cert_reqs=none", "needs rediss://"),
        ("rediss://host?ssl_cert_reqs=perhaps", "must be none, optional or required"),
        ("rediss://host?ssl_ca_certs=/no/such/file", "must be a file that is there"),
        ("rediss://host?ssl_ca_path=/no/such/folder", "must be a folder that is there"),
        ("rediss://host?ssl_check_hostname=perhaps", "must be true or false"),
        ("redis://host#0", "a # in it"),
        ("unix://", "the path of the socket is missing"),
        ("unix:///", "the path of the socket is missing"),
        ("unix://run/redis.sock", "the path of the socket is missing"),
        ("unix:///run/redis.sock?ssl_cert_reqs=none", "needs rediss://"),
    ],
)
def test_anything_else_is_refused_with_one_line_that_says_what_is_needed(url, says):
    with pytest.raises(ValueError, match=r".+") as refused:
        checked_redis_url(url)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:hush@host:port",
        "redis://:hush@host:99999",
        "redis://hush@host:99999",
        "redis://user:hu/hush@host",
        "redis://user:hu#hush@host",
        "redis://user:hu?hush@host",
        "redis://user:hu@hush@host:x",
        "redis://user:hu://hush@host:x",
        "redis://user:6379?hush@host",
        "user:hush@host:6379",
        "//user:hush@host",
        "http://user:hush@host",
        "redis+sentinel://user:hush@one:1,two:2/0",
        "redis+sentinel://user:hu/hush@one:1,two:x/jobs",
        "redis+sentinel://user:hu?hush@one/jobs",
        "redis+sentinel://one/?sentinel_password=hush",
        "redis://host?password=hush",
        "unix://user:hush@",
    ],
)
def test_no_password_is_repeated(url):
    with pytest.raises(ValueError, match=r".+") as refused:
        checked_redis_url(url)

    assert "hush" not in str(refused.value)
    assert "hush" not in masked(url)
