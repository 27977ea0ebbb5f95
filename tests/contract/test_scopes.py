"""Every address that needs a key says which scope a token needs for it."""

import pytest

from service.app import create_app
from service.http.scopes import ABOUT, SCOPES, needed
from service.settings import Settings


@pytest.fixture(scope="module")
def operations() -> dict[tuple[str, str], dict]:
    paths = create_app(Settings()).openapi()["paths"]
    return {(verb.upper(), path): operation for path, verbs in paths.items() for verb, operation in verbs.items()}


def test_the_description_says_the_scopes_of_every_operation_that_needs_a_key(operations):
    keyed = {place: operation for place, operation in operations.items() if "security" in operation}

    assert len(keyed) > 20
    for place, operation in keyed.items():
        (said,) = operation["security"]
        assert said["key"], place
        assert set(said["key"]) <= set(ABOUT), place
        assert "403" in operation["responses"], place


def test_what_changes_something_needs_another_scope_than_what_looks():
    assert list(needed("GET", "/v1/edits/{edit_id}")) == ["edits:read"]
    assert list(needed("HEAD", "/v1/edits/{edit_id}")) == ["edits:read"]
    assert list(needed("DELETE", "/v1/edits/{edit_id}")) == ["edits:write"]
    assert list(needed("POST", "/v1/images")) == ["images"]
    assert list(needed("POST", "/v1/images/edits")) == ["edits:write"]


@pytest.mark.parametrize("path", ["/v1/editsx", "/v2/edits", "", "(no route)"])
def test_an_address_without_a_row_lets_nobody_in(path):
    with pytest.raises(LookupError):
        needed("GET", path)


def test_rows_name_scopes_that_there_are():
    assert {scope for row in SCOPES.values() for scopes in row for scope in scopes} == set(ABOUT)
