"""One address for each way to say which service is meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import NotFound
from shoal.core.service import address
from shoal.serving.gateway.naming import Naming, within
from shoal.serving.gateway.paths import split

PLAIN = Naming()
HOSTS = Naming("Models.Example.org.")
NAMES = st.from_regex(r"[a-z0-9_][a-z0-9_-]{0,10}[a-z0-9_]", fullmatch=True)


def plain(target, host="localhost", naming=HOSTS):
    return "/" + "/".join(naming.segments(split(target.encode()), {b"host": host.encode()}))


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("/v2/models/iris/infer", "/v2/models/iris/infer"),
        ("/ns/fraud/v2/models/iris/infer", "/v2/models/iris@fraud/infer"),
        ("/ns/fraud/v2/models/iris/versions/3/infer?x=1", "/v2/models/iris@fraud/versions/3/infer"),
        ("/ns/fraud/v2/models/iris+staging/predict_all", "/v2/models/iris+staging@fraud/predict_all"),
        ("/ns/fraud/v2/models/iris@fraud", "/v2/models/iris@fraud"),
        ("/ns/default/v2/models/iris/ready", "/v2/models/iris/ready"),
        ("/ns/default/v2/models/iris+production/ready", "/v2/models/iris/ready"),
        ("/ns/fraud/v2/repository/models/iris/load", "/v2/repository/models/iris@fraud/load"),
        ("/ns/fraud/models/iris/app/page", "/models/iris@fraud/app/page"),
        ("/v2/models/stats", "/v2/models/stats"),
        ("/v2/models", "/v2/models"),
        ("/", "/"),
    ],
)
def test_a_namespace_in_the_path_is_part_of_the_address(target, meant):
    assert plain(target) == meant
    assert plain(target, naming=PLAIN) == meant


def test_v1_puts_its_verb_behind_the_name():
    assert PLAIN.segments(split(b"/v1/models/iris:predict"), {}) == ("v1", "models", "iris", ":predict")
    assert plain("/ns/fraud/v1/models/iris") == "/v1/models/iris@fraud"
    assert plain("/ns/fraud/v1/models/iris:predict") == "/v1/models/iris@fraud/:predict"


@pytest.mark.parametrize(
    "target",
    ["/ns", "/ns/fraud", "/ns/fraud/v2", "/ns/fraud/v2/models", "/ns/fraud/metrics", "/ns/fraud/v2/models/stats",
     "/ns/fraud/v2/models/iris@other/infer", "/ns/a@b/v2/models/iris", "/ns/a+b/v2/models/iris",
     "/ns/a/ns/b/v2/models/iris", "/ns/default/v2/models/iris@fraud"],
)  # fmt: skip
def test_what_is_below_no_namespace_is_unknown(target):
    with pytest.raises(NotFound):
        plain(target)


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("iris.models.example.org", "iris"),
        ("IRIS.models.example.org:8080", "iris"),
        ("iris.models.example.org.", "iris"),
        ("iris.fraud.models.example.org", "iris@fraud"),
        ("iris.default.models.example.org", "iris"),
        ("models.example.org", ""),
        ("localhost:8080", ""),
        ("127.0.0.1", ""),
        ("[::1]:8080", ""),
        ("irismodels.example.org", ""),
        ("iris.models.example.org.evil.test", ""),
        ("", ""),
    ],
)
def test_a_host_below_the_domain_is_a_service(host, service):
    assert HOSTS.service({b"host": host.encode()}) == service
    assert HOSTS.service({}) == ""
    assert plain("/v2/health/ready", host) == "/v2/health/ready"


@pytest.mark.parametrize("host", ["a.b.c", ".iris", "-a", "a..b", "ir is", "ü", "a@b", "a+b"])
def test_what_cannot_be_a_service_is_unknown(host):
    with pytest.raises(NotFound):
        HOSTS.service({b"host": f"{host}.models.example.org".encode()})


def test_a_services_host_is_about_that_service():
    fraud = "iris.fraud.models.example.org"
    assert plain("/infer", fraud) == "/v2/models/iris@fraud/infer"
    assert plain("/predict_all", fraud) == "/v2/models/iris@fraud/predict_all"
    assert plain("/v2/models/iris/infer", fraud) == "/v2/models/iris@fraud/infer"
    assert plain("/v2/models/iris@fraud/infer", fraud) == "/v2/models/iris@fraud/infer"
    assert plain("/v2/models/iris+staging/infer", fraud) == "/v2/models/iris+staging@fraud/infer"
    assert plain("/ns/fraud/v2/models/iris/infer", fraud) == "/v2/models/iris@fraud/infer"
    for other in ("/v2/models/rose/infer", "/v2/models/iris@other/infer", "/ns/other/v2/models/iris/infer"):
        with pytest.raises(NotFound):
            plain(other, fraud)
    with pytest.raises(NotFound):
        plain("/ns/default/v2/models/iris/infer", fraud)
    assert plain("/infer", "localhost") == "/infer"


@pytest.mark.parametrize(
    ("name", "metadata", "meant"),
    [
        ("iris", {}, "iris"),
        ("iris@fraud", {}, "iris@fraud"),
        ("iris", {b"shoal-namespace": b"fraud"}, "iris@fraud"),
        ("iris", {b"shoal-namespace": b"default"}, "iris"),
        ("iris", {b"host": b"iris.fraud.models.example.org"}, "iris@fraud"),
        ("", {b"host": b"iris.fraud.models.example.org"}, "iris@fraud"),
        ("", {}, ""),
        ("iris", {b"host": b"iris.fraud.models.example.org", b"shoal-namespace": b"fraud"}, "iris@fraud"),
    ],
)
def test_messages_say_it_by_metadata_or_host(name, metadata, meant):
    assert HOSTS.name(name, metadata) == meant


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("iris@other", {b"shoal-namespace": b"fraud"}),
        ("iris", {b"shoal-namespace": b"a@b"}),
        ("iris", {b"shoal-namespace": b""}),
        ("rose", {b"host": b"iris.models.example.org"}),
        ("iris", {b"host": b"iris.models.example.org", b"shoal-namespace": b"fraud"}),
        ("iris", {b"host": b"iris.fraud.models.example.org", b"shoal-namespace": b"default"}),
    ],
)
def test_messages_that_contradict_themselves_find_nothing(name, metadata):
    with pytest.raises(NotFound):
        HOSTS.name(name, metadata)


@given(NAMES, NAMES, NAMES)
def test_all_ways_mean_the_same(name, environment, namespace):
    meant = address(name, environment, namespace)
    assert within(f"{name}+{environment}", namespace) == meant
    assert plain(f"/ns/{namespace}/v2/models/{name}+{environment}") == f"/v2/models/{meant}"
    assert HOSTS.name(f"{name}+{environment}", {b"shoal-namespace": namespace.encode()}) == meant
    host = {b"host": f"{name}.{namespace}.models.example.org".encode()}
    assert HOSTS.name(f"{name}+{environment}", host) == meant
    assert HOSTS.service(host) == address(name, namespace=namespace)
