"""Tokens of an identity provider, taken over HTTP: who comes with one, what it allows, and what is refused."""

import asyncio
import hashlib
import hmac
import json
import re
import socket
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from process.token_form import MOST_CHARACTERS, owner_of, owner_said
from service.api_keys import Caller
from service.http.errors import Unauthenticated
from service.identity import fetching, key_set
from service.identity.opening import callers_of
from service.settings import Settings
from tests.file_server import Answer
from tests.issuer import AUDIENCE, JWKS, NAME, issuing, part, said

KEY = "Bearer p2p_0123456789ab_" + "s" * 43


class Keys:
    """`Callers` of one key."""

    async def of(self, authorization: str) -> Caller:
        if authorization != KEY:
            raise Unauthenticated(sent=bool(authorization))
        return Caller(owner="0123456789ab")


@pytest.fixture
def issuer():
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def open_to(parts, serve, issuer):
    """Has the API take the issuer's tokens, by settings; gives a function that asks it with a token."""
    opened, loop = [], asyncio.new_event_loop()

    def start(**settings):
        said_by = {"jwt_issuer": NAME, "jwt_audience": AUDIENCE, "jwt_jwks_url": issuer.jwks_url}
        callers = callers_of(Settings(**{**said_by, **settings}), Keys())
        opened.append(callers)
        parts.plane = replace(parts.plane, callers=loop.run_until_complete(callers.__aenter__()))
        client = serve()

        def ask(token: str, method: str = "GET", path: str = "/v1/edits", **body):
            return client.request(method, path, headers={"Authorization": f"Bearer {token}".encode("latin-1")}, **body)

        return ask

    yield start
    for callers in opened:
        loop.run_until_complete(callers.__aexit__(None, None, None))
    loop.close()


def codes(response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_a_token_of_the_issuer_is_taken(open_to, issuer, monkeypatch):
    monkeypatch.setattr(key_set, "PAUSE", 0.0)
    ask = open_to()
    for algorithm in ("ES256", "EdDSA", "RS256", "PS256"):
        issuer.rotate(f"with {algorithm}", algorithm=algorithm)

        assert ask(issuer.token()).status_code == 200


def test_a_token_makes_and_sees_what_is_its_subjects(open_to, issuer, edit):
    ask = open_to()
    mine, other = issuer.token(sub="me"), issuer.token(sub="you")
    job = ask(mine, "POST", json=edit).json()["id"]

    later = issuer.token(sub="me", exp=int(time.time()) + 900)
    assert ask(later, path=f"/v1/edits/{job}").status_code == 200
    assert codes(ask(other, path=f"/v1/edits/{job}")) == (404, "job_not_found")


def test_the_same_subject_of_another_issuer_is_somebody_else():
    assert owner_of("a", "bc") != owner_of("ab", "c")
    assert owner_of("https://a", "me") != owner_of("https://b", "me")
    assert owner_said(f"{part({})}.{part({'iss': 'a', 'sub': 'bc'})}.x") == owner_of("a", "bc")


def test_keys_are_taken_beside_tokens(open_to):
    ask = open_to()

    assert ask(KEY.removeprefix("Bearer ")).status_code == 200
    assert ask(KEY.removeprefix("Bearer ") + "x").headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def forged(issuer) -> dict[str, str]:
    """Tokens that nobody may come in with, by what is wrong with each."""
    now, (_, key), claims = int(time.time()), issuer.keys["first"], said()
    own = ec.generate_private_key(ec.SECP256R1())
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed_with_public = f"{part({'alg': 'HS256', 'kid': 'first'})}.{part(claims)}"
    mac = part(hmac.new(pem, signed_with_public.encode(), hashlib.sha256).digest())
    header, _, signature = issuer.token().split(".")
    in_header = jwt.algorithms.ECAlgorithm.to_jwk(own.public_key(), as_dict=True)
    return {
        "alg none": f"{part({'alg': 'none', 'kid': 'first'})}.{part(claims)}.{part(b'x')}",
        "alg None": f"{part({'alg': 'None', 'kid': 'first'})}.{part(claims)}.{part(b'x')}",
        "the public key as a secret": f"{signed_with_public}.{mac}",
        "over": issuer.token(exp=now - 60),
        "not yet": issuer.token(nbf=now + 600),
        "made in the future": issuer.token(iat=now + 600),
        "another audience": issuer.token(aud="another"),
        "other audiences": issuer.token(aud=["another", AUDIENCE + "x"]),
        "another issuer": issuer.token(iss=NAME + "x"),
        "no end": issuer.token(exp=None),
        "no audience": issuer.token(aud=None),
        "no issuer": issuer.token(iss=None),
        "no subject": issuer.token(sub=None),
        "an empty subject": issuer.token(sub=""),
        "a long subject": issuer.token(sub="x" * 256),
        "another key": jwt.encode(claims, own, algorithm="ES256", headers={"kid": "first"}),
        "a key in the header": jwt.encode(claims, own, algorithm="ES256", headers={"kid": "first", "jwk": in_header}),
        "other claims": f"{header}.{part(claims | {'sub': 'admin'})}.{signature}",
        "crit": issuer.token(header={"crit": ["b64"], "b64": True}),
        "no key named": jwt.encode(claims, key, algorithm="ES256"),
        "a number as the key's name": f"{part({'alg': 'ES256', 'kid': 1})}.{part(claims)}.{signature}",
        "a list as the algorithm": f"{part({'alg': ['ES256'], 'kid': 'first'})}.{part(claims)}.{signature}",
        "claims that are no JSON": jwt.api_jws.encode(b"[" * 5000, key, algorithm="ES256", headers={"kid": "first"}),
        "limits that are none": issuer.token(p2p_limits=7),
        "a limit that is misspelt": issuer.token(p2p_limits={"per_minit": 1}),
        "a limit that is no number": issuer.token(p2p_limits={"per_minute": float("inf")}),
        "scopes that are none": issuer.token(scope=7),
        "models that are none": issuer.token(p2p_models={"tiny": True}),
    }


def test_what_is_not_genuine_is_refused(open_to, issuer):
    ask = open_to()
    refused = {name: ask(token) for name, token in forged(issuer).items()}

    assert {name for name, answer in refused.items() if codes(answer) != (401, "invalid_token")} == set()
    assert {answer.headers["WWW-Authenticate"] for answer in refused.values()} == {'Bearer error="invalid_token"'}


def head(**said) -> str:
    return part({"alg": "ES256", "kid": "first"} | said)


def test_what_has_not_the_form_of_a_token_is_refused_before_anything_is_asked(open_to, issuer):
    ask = open_to()
    tokens = ["", "..", f"{head(alg='none')}.{part({})}.", f"{head()}.{part({})}", f"{head()}.{part({})}.x.y"]
    tokens += [
        f"{head(x='y' * 2000)}.{part({})}.x",
        f"{head()}.{'A' * MOST_CHARACTERS}.x",
        f"{head()}.{part({})}.\u00e9",
    ]

    assert {codes(ask(token)) for token in tokens} == {(401, "unauthenticated")}
    assert issuer.asked == 0


def test_a_header_that_cannot_be_is_refused_before_the_provider_is_asked(open_to, issuer):
    ask = open_to()
    headers = [{"alg": "none"}, {"alg": "HS256", "kid": "first"}, {"alg": "ES256"}, {"alg": "ES384", "kid": "first"}]

    assert {codes(ask(f"{part(header)}.{part({})}.x")) for header in [*headers, {}, []]} == {(401, "invalid_token")}
    assert issuer.asked == 0


def test_a_forged_token_learns_nothing_of_what_a_good_one_says(open_to, issuer):
    ask = open_to()
    own = ec.generate_private_key(ec.SECP256R1())
    forged = jwt.encode(said(exp=1, aud="another"), own, algorithm="ES256", headers={"kid": "first"})

    assert "none that this installation takes" in ask(forged).json()["detail"]
    assert "over" in ask(issuer.token(exp=1)).json()["detail"]


def test_a_key_that_is_rotated_in_is_taken_and_one_that_is_withdrawn_is_not(open_to, issuer, monkeypatch):
    monkeypatch.setattr(key_set, "PAUSE", 0.0)
    ask = open_to()
    old = issuer.token()
    assert ask(old).status_code == 200

    issuer.rotate("first", "second")
    assert ask(issuer.token("second")).status_code == 200
    assert ask(old).status_code == 200
    issuer.rotate("third")

    # A token with the new key brings the new set, in which the old ones are no more.
    assert ask(issuer.token()).status_code == 200
    assert codes(ask(old)) == (401, "invalid_token")


def test_tokens_with_keys_that_nobody_knows_bring_one_request_to_the_provider(open_to, issuer):
    ask = open_to()
    for number in range(20):
        made_up = f"{part({'alg': 'ES256', 'kid': f'k{number}'})}.{part(said())}.{part(b'x' * 64)}"
        assert codes(ask(made_up)) == (401, "invalid_token")

    assert issuer.asked == 1
    assert ask(issuer.token()).status_code == 200


def test_a_provider_that_gives_no_keys_lets_nobody_in_and_keeps_no_key_out(open_to, issuer, monkeypatch):
    monkeypatch.setattr(key_set, "PAUSE", 0.0)
    ask, token = open_to(), issuer.token()
    answers = [
        Answer(500),
        Answer(302, b"", {"Location": "/elsewhere"}),
        *(Answer(200, body) for body in (b"<html>", b"[" * 200_000, b'{"keys": 7}', b'{"keys": [7]}', b" " * 300_000)),
        Answer(200, b'{"keys": [' + b"{}," * 100 + b"{}]}"),
        Answer(200, b"{}", {"Content-Encoding": "gzip"}),
    ]

    for answer in answers:
        issuer.server.answers[JWKS] = answer
        refused = ask(token)
        assert (codes(refused), int(refused.headers["Retry-After"]) > 0) == ((503, "identity_unavailable"), True)
    assert issuer.asked == len(answers)
    assert ask(KEY.removeprefix("Bearer ")).status_code == 200


def test_a_provider_that_does_not_answer_is_given_up(open_to, issuer, monkeypatch):
    monkeypatch.setattr(fetching, "SECONDS", 0.2)
    token = issuer.token()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        ask = open_to(jwt_jwks_url=f"http://127.0.0.1:{silent.getsockname()[1]}/jwks")

        assert codes(ask(token)) == (503, "identity_unavailable")
        assert ask(KEY.removeprefix("Bearer ")).status_code == 200


def test_of_a_set_only_public_keys_that_sign_count(open_to, issuer):
    issuer.rotate("first", "other")
    first, other = issuer.published("first"), issuer.published("other")
    secret = {"kty": "oct", "k": part(b"secret"), "kid": "shared", "alg": "HS256"}
    small = {"kty": "RSA", "n": part(b"\x7f" * 64), "e": "AQAB", "kid": "small"}
    keys = [secret, small, {"kid": "no kind"}, first | {"use": "enc"}, other, other | {"x": "AAAA", "y": "AAAA"}]
    issuer.server.answers[JWKS] = Answer(200, json.dumps({"keys": keys}).encode())
    ask = open_to()

    assert ask(issuer.token("other")).status_code == 200
    assert codes(ask(issuer.token("first"))) == (401, "invalid_token")
    shared = jwt.encode(said(), b"secret" * 6, algorithm="HS256", headers={"kid": "shared"})
    assert codes(ask(shared)) == (401, "invalid_token")


def test_a_token_without_the_scope_is_told_which_one_it_needs(open_to, issuer):
    ask = open_to()
    for scopes, method, path, needs in (
        ("edits:read", "POST", "/v1/edits", "edits:write"),
        ("edits:write", "GET", "/v1/edits", "edits:read"),
        ("edits:write edits:read", "GET", "/v1/images", "images"),
        ("edits:write", "DELETE", "/v1/subjects/somebody", "edits:write images"),
        ("", "POST", "/v1/alignments", "edits:read"),
        (None, "GET", "/v1/edits/1/events", "edits:read"),
        ("EDITS:READ edits:readx", "GET", "/v1/edits/1", "edits:read"),
    ):
        answer = ask(issuer.token(scope=scopes), method, path)

        assert codes(answer) == (403, "insufficient_scope")
        assert answer.headers["WWW-Authenticate"] == f'Bearer error="insufficient_scope", scope="{needs}"'


def test_scopes_may_be_a_list_under_another_name(open_to, issuer):
    ask = open_to(jwt_scope_claim="scp")

    assert ask(issuer.token(scp=["edits:read"])).status_code == 200
    assert ask(issuer.token()).status_code == 403


def test_a_token_names_its_models(open_to, issuer, edit):
    ask = open_to()

    assert ask(issuer.token(p2p_models="tiny other"), "POST", json=edit).status_code == 202
    for models in ([], "another"):
        refused = ask(issuer.token(p2p_models=models), "POST", json=edit)
        assert (codes(refused), refused.json()["errors"][0]["code"]) == ((422, "invalid_edit"), "unknown_model")
    unnamed = {name: value for name, value in edit.items() if name != "model"}
    assert codes(ask(issuer.token(p2p_models=""), "POST", json=unnamed)) == (422, "invalid_edit")


def test_a_tokens_limits_are_those_of_its_claim_and_the_settings(issuer):
    async def found(token: str) -> Caller:
        settings = Settings(
            jwt_issuer=NAME, jwt_audience=AUDIENCE, jwt_jwks_url=issuer.jwks_url, jwt_limits='{"active": 3, "burst": 5}'
        )
        async with callers_of(settings, Keys()) as callers:
            return await callers.of(f"bearer {token}")

    caller = asyncio.run(found(issuer.token(p2p_limits={"per_minute": 60, "burst": 7, "streams": 2})))

    assert caller.owner == owner_of(NAME, "somebody")
    assert (caller.limits.per_minute, caller.limits.burst, caller.limits.active, caller.streams) == (60, 7, 3, 2)


def test_where_tokens_are_taken_nobody_comes_in_without_one():
    given = {"jwt_issuer": NAME, "jwt_audience": AUDIENCE, "jwt_jwks_url": "https://issuer.example/jwks"}

    assert Settings().is_open_without_keys
    assert not Settings(**given).is_open_without_keys


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"jwt_issuer": NAME}, "needed together"),
        ({"jwt_jwks_url": "https://issuer.example/jwks"}, "needed together"),
        ({"jwt_issuer": NAME, "jwt_audience": AUDIENCE, "jwt_jwks_url": "file:///etc/keys"}, "https://"),
        ({"jwt_algorithms": "RS256 HS256"}, "HS256: choose of"),
        ({"jwt_limits": '{"per_minit": 1}'}, "per_minit"),
        ({"jwt_limits": "60"}, "jwt_limits"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Settings(**settings)


class Clock(SimpleNamespace):
    """A clock that goes on by hand, and a provider that is counted and can be held up."""

    def __init__(self):
        super().__init__(now=0.0, asked=0, keys={("k", "ES256"): "key"}, fails=False, held=None)
        self.known = key_set.KeySet(self.fetch, clock=lambda: self.now)

    async def fetch(self):
        self.asked += 1
        if self.held is not None:
            await self.held.wait()
        if self.fails:
            raise key_set.NoKeySet("down")
        return self.keys

    async def settled(self):
        for _ in range(3):
            await asyncio.sleep(0)


def test_nobody_waits_for_a_set_that_is_renewed():
    async def run():
        clock = Clock()
        assert await clock.known.find("k", "ES256") == "key"
        clock.held, clock.now = asyncio.Event(), key_set.FRESH / 2 + 1

        assert await clock.known.find("k", "ES256") == "key"
        await clock.settled()
        assert clock.asked == 2
        clock.keys = {}
        clock.held.set()
        await clock.settled()
        assert await clock.known.find("k", "ES256") is None

    asyncio.run(run())


def test_a_key_that_was_withdrawn_while_no_token_came_is_not_taken():
    async def run():
        clock = Clock()
        assert await clock.known.find("k", "ES256") == "key"
        clock.keys, clock.now = {}, key_set.FRESH + 1

        assert await clock.known.find("k", "ES256") is None

    asyncio.run(run())


def test_a_set_is_kept_while_the_provider_is_down_and_not_for_ever():
    async def run():
        clock = Clock()
        await clock.known.find("k", "ES256")
        clock.fails, clock.now = True, key_set.KEPT - 1
        assert await clock.known.find("k", "ES256") == "key"
        await clock.settled()
        assert await clock.known.find("k", "ES256") == "key"
        clock.now = key_set.KEPT + key_set.PAUSE + 1
        with pytest.raises(key_set.IdentityUnavailable):
            await clock.known.find("k", "ES256")

    asyncio.run(run())


def test_all_who_wait_share_one_request_and_only_so_many_wait():
    async def run():
        clock = Clock()
        clock.held = asyncio.Event()
        waiting = [asyncio.create_task(clock.known.find("k", "ES256")) for _ in range(key_set.MOST_WAITING)]
        await clock.settled()
        with pytest.raises(key_set.IdentityUnavailable):
            await clock.known.find("k", "ES256")
        waiting[0].cancel()
        await clock.settled()
        clock.held.set()

        assert await asyncio.gather(*waiting[1:]) == ["key"] * (key_set.MOST_WAITING - 1)
        assert clock.asked == 1

    asyncio.run(run())


def test_what_is_asked_for_is_given_up_when_the_api_ends():
    async def run():
        clock = Clock()
        clock.held = asyncio.Event()
        waiting = asyncio.create_task(clock.known.find("k", "ES256"))
        await clock.settled()
        await clock.known.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(run())


def test_the_settings_and_the_owner_that_are_shown_are_so(capsys):
    shown = (Path(__file__).parents[3] / "docs" / "identity.md").read_text(encoding="utf-8")
    settings = {name.lower(): value for name, value in re.findall(r"^(JWT_\w+)=(\S+)", shown, re.MULTILINE)}
    (limits,) = re.findall(r"`JWT_LIMITS='(.+?)'`", shown)
    (command,) = re.findall(r"^python -c '(.+)'$", shown, re.MULTILINE)

    exec(command, {})

    assert Settings(**settings, jwt_limits=limits).jwt_audience == "p2p-edit"
    assert capsys.readouterr().out.strip() == owner_of(settings["jwt_issuer"], "user-4711")
