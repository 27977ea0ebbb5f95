"""Where a request goes is read from its method, its path and the ids in its body."""

import json
from base64 import urlsafe_b64encode
from uuid import uuid4

import pytest

from process.token_form import owner_of
from router.cells import cells_of, in_order, key_of
from router.errors import CellNotNamed, SeveralCells, UnknownCell
from router.places import Anywhere, Creating, Home, Listing, Own, home_of_body, place_of

CELLS = cells_of("e1=http://one:1 e2=http://two:2 u1=http://three:3/")
#: Always the same one: it stands in names of tests, which every process of a run must call alike.
BARE = "4f0c2d7e9a1b4c3d8e5f60718293a4b5"


def place(method: str, path: str, cell: str = "", name: str | None = None):
    return place_of(method, path, cell, name, CELLS)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v1/edits/e2-{BARE}"),
        ("GET", f"/v1/edits/e2-{BARE}/events"),
        ("POST", f"/v1/edits/e2-{BARE}/cancel"),
        ("GET", f"/v1/edits/e2-{BARE}/deliveries"),
        ("POST", f"/v1/edits/e2-{BARE}/deliveries"),
        ("DELETE", f"/v1/edits/e2-{BARE}"),
        ("PUT", f"/v1/edits/e2-{BARE}"),
        ("GET", f"/v1/batches/e2-{BARE}"),
        ("POST", f"/v1/batches/e2-{BARE}/cancel"),
        ("POST", f"/v1/batches/e2-{BARE}/deliveries"),
        ("GET", f"/v1/images/e2-img_{BARE}"),
        ("DELETE", f"/v1/images/e2-img_{BARE}"),
        ("DELETE", f"/v1/inversions/e2-{BARE}"),
        ("GET", f"/v1/artifacts/jobs/e2-{BARE}/{BARE}/edit-1.png"),
        ("GET", f"/v1/artifacts/images/e2-img_{BARE}/image.png"),
    ],
)
def test_what_has_an_id_of_ours_goes_to_the_cell_of_the_id(method, path):
    assert place(method, path) == Home(CELLS["e2"])


@pytest.mark.parametrize("path", [f"/v1/edits/{BARE}", f"/v1/images/img_{BARE}", f"/v1/batches/{BARE}"])
def test_an_id_without_a_cell_is_of_the_first_cell_that_is_named(path):
    assert place("GET", path) == Home(CELLS["e1"])


@pytest.mark.parametrize("path", [f"/v1/edits/e9-{BARE}", f"/v1/images/e9-img_{BARE}/x"])
def test_an_id_of_a_cell_that_is_not_here_is_refused(path):
    with pytest.raises(UnknownCell, match="there is no cell e9: this service has e1, e2, u1"):
        place("GET", path)


@pytest.mark.parametrize(
    "own", ["order-17", "e2-17", "E2-" + BARE, f"e2_{BARE}", BARE[:-1], f"e2-{BARE}0", "e2-", "-", "e2"]
)
def test_a_clients_own_id_is_no_id_of_ours_whatever_it_begins_with(own):
    assert place("GET", f"/v1/edits/{own}") == Own()
    assert place("PUT", f"/v1/edits/{own}") == Creating(f"id:{own}", True)


@pytest.mark.parametrize(
    "path",
    ["/v1/edits", "/v1/batches", "/v1/inversions", "/v1/images", "/v1/images/edits", "/v1/images/generations"],
)
def test_new_work_is_known_by_its_path(path):
    assert place("POST", path, name="a") == Creating("a", not path.startswith("/v1/images"))


def test_a_subject_is_erased_in_one_cell_at_a_time():
    assert place("DELETE", "/v1/subjects/user-4711", cell="e2") == Home(CELLS["e2"])
    with pytest.raises(CellNotNamed, match=r"\?cell=e1, \?cell=e2, \?cell=u1"):
        place("DELETE", "/v1/subjects/user-4711")
    with pytest.raises(UnknownCell):
        place("DELETE", "/v1/subjects/user-4711", cell="e9")


def test_lists_are_of_all_cells_or_of_one():
    assert place("GET", "/v1/edits") == Listing(None)
    assert place("HEAD", "/v1/images", cell="u1") == Listing(CELLS["u1"])
    with pytest.raises(UnknownCell):
        place("GET", "/v1/inversions", cell="u2")


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/v1/models", "/v1/alignments", "/v1/verifications", "/v2", "/v1/edits/"]
)
def test_all_else_is_the_same_everywhere(path):
    assert place("GET", path) == Anywhere()


@pytest.mark.parametrize(
    "body",
    [
        {"source": {"image": {"upload": f"e2-img_{BARE}"}}},
        {"edits": [{"source": {}}, {"targets": [{"local_blend": {"mask": {"upload": f"e2-img_{BARE}"}}}]}]},
        [{"upload": f"e2-img_{BARE}"}, {"upload": f"e2-img_{BARE[::-1]}"}],
    ],
)
def test_pictures_that_a_body_names_say_the_cell(body):
    assert home_of_body(json.dumps(body).encode(), CELLS) == CELLS["e2"]


def test_an_escaped_name_is_read_like_any_other():
    assert home_of_body(b'{"upload": "\\u00652-img_' + BARE.encode() + b'"}', CELLS) == CELLS["e2"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"upload": 5}', b'{"upload": "mine"}', b"null"])
def test_a_body_that_names_none_or_cannot_be_read_says_none(body):
    assert home_of_body(body, CELLS) is None


def test_a_picture_of_a_cell_that_is_not_here_is_left_to_the_cell_that_points_at_the_field():
    assert home_of_body(json.dumps({"upload": f"e9-img_{BARE}"}).encode(), CELLS) is None


def test_pictures_of_two_cells_are_refused():
    body = json.dumps([{"upload": f"{cell}-img_{BARE}"} for cell in ("e1", "e2")])

    with pytest.raises(SeveralCells, match="e1 and e2"):
        home_of_body(body.encode(), CELLS)


def test_keys_are_spread_over_the_cells_and_stay_when_one_is_added():
    keys = [uuid4().hex[:12] for _ in range(2000)]
    more = cells_of("e1=http://one e2=http://two u1=http://three u2=http://four")
    first = {key: in_order(key, CELLS)[0].name for key in keys}
    moved = [key for key in keys if in_order(key, more)[0].name != first[key]]

    # Of a binomial with 2,000 draws at 1/3, six deviations are 127.
    assert all(abs(list(first.values()).count(cell) - 667) < 130 for cell in CELLS)
    assert {in_order(key, more)[0].name for key in moved} == {"u2"}


def test_a_key_is_known_by_its_id_alone():
    assert key_of(f"Bearer p2p_0123456789ab_{'x' * 43}") == "0123456789ab"
    assert key_of("") == key_of("Basic abc") == "anonymous"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "e1",
        "E1=http://a",
        "e1=ftp://a",
        "e1=http://a/b c",
        "e1=http://a e1=http://b",
        "1e=http://a",
        "e-1=http://a",
    ],
)
def test_cells_that_cannot_be_are_refused_with_what_to_write(text):
    with pytest.raises(ValueError, match=r"NAME=URL|of its own"):
        cells_of(text)


def test_tokens_of_one_subject_have_the_same_cells():
    def token(**claims: object) -> str:
        parts = ({"alg": "ES256", "kid": "k"}, {"iss": "https://issuer.example", **claims}, "signature")
        return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)

    assert key_of(f"Bearer {token(sub='me', exp=1)}") == key_of(f"bearer  {token(sub='me', exp=2)}")
    assert key_of(f"Bearer {token(sub='me')}") == owner_of("https://issuer.example", "me")
    # What names nobody is refused by the cell.
    assert {key_of(f"Bearer {said}") for said in (token(), token(sub=7), "x.y.z", "a" * 9000)} == {"anonymous"}
