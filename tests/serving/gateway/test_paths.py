from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import InvalidInput, NotFound
from shoal.serving.gateway import paths
from shoal.serving.gateway.guard.needs import OPEN
from shoal.serving.gateway.problems import MethodNotAllowed


def nothing(exchange: object, params: object) -> None:
    raise AssertionError


TABLE = paths.Table(
    [
        paths.Route("GET", "/", nothing, OPEN),
        paths.Route("GET", "/v2/models/stats", nothing, OPEN),
        paths.Route("GET", "/v2/models/{model}[/versions/{version}]", nothing, OPEN),
        paths.Route("POST", "/v1/models/{model}[/versions/{version}]/:predict", nothing, OPEN),
        paths.Route("POST", "/v2/x", nothing, OPEN),
        paths.Route("GET", "/v2/x", nothing, OPEN),
    ]
)


def find(method: str, target: bytes) -> tuple[str, dict[str, str]]:
    route, params = TABLE.find(method, paths.split(target))
    return route.pattern, params


@pytest.mark.parametrize(
    ("target", "params"),
    [
        (b"/v2/models/iris", {"model": "iris"}),
        (b"/v2/models/iris/", {"model": "iris"}),
        (b"/v2/models/iris?a=/b/c", {"model": "iris"}),
        (b"/v2/models/i%72is/versions/2", {"model": "iris", "version": "2"}),
        (b"/v2/models/%2e%2e", {"model": ".."}),
        (b"/v2/models/%252e", {"model": "%2e"}),
        (b"/v2/models/a%2Fb", {"model": "a/b"}),
        (b"/v2/models/stats", {}),
    ],
)
def test_segments_are_cut_before_they_are_decoded_once(target: bytes, params: dict[str, str]) -> None:
    assert find("GET", target)[1] == params


def test_v1_has_its_verb_behind_a_colon() -> None:
    assert find("POST", b"/v1/models/iris:predict")[1] == {"model": "iris"}
    assert find("POST", b"/v1/models/a:b/versions/3:predict")[1] == {"model": "a:b", "version": "3"}
    with pytest.raises(NotFound):
        find("POST", b"/v1/models/iris:classify")


@pytest.mark.parametrize("target", [b"/v2/%zz", b"/v2/%", b"/v2/%ff", b"/v2/%C0%AE"])
def test_wrong_escapes_are_refused(target: bytes) -> None:
    with pytest.raises(InvalidInput):
        paths.split(target)


@pytest.mark.parametrize("target", [b"", b"*", b"v2", b"//v2", b"/v2//models", b"http://x/v2"])
def test_what_is_no_path_is_not_found(target: bytes) -> None:
    with pytest.raises(NotFound):
        find("GET", target)


def test_a_wrong_method_is_told_the_right_ones() -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        find("DELETE", b"/v2/x")
    assert caught.value.allow == "POST, GET, HEAD"
    assert find("HEAD", b"/v2/x")[0] == "/v2/x"


@given(st.binary(max_size=60))
def test_any_target_is_found_or_refused(noise: bytes) -> None:
    with suppress(InvalidInput, NotFound):
        find("GET", b"/" + noise)
