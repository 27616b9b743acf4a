"""Which service a request is about, where its path, its metadata or its host says more than a name: sans I/O.

    /ns/fraud/v2/models/iris/infer          iris@fraud
    shoal-namespace: fraud (gRPC)           the name in the message, in that namespace
    iris.models.example.org                 iris, where `domain` is models.example.org
    iris.fraud.models.example.org           iris@fraud
    POST /infer, POST /predict_all          on such a host: of its service

All of them become the one address that everything behind this knows (`NAME[+ENVIRONMENT][@NAMESPACE]`), before a route
is looked for and before it is asked who may. So a service is one entry, however it is called. A host that is a
service's is about that service alone: another one's name in the path is unknown there. Paths of the node (health,
metrics, documentation) are the same on every host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from shoal.core.errors import NotFound
from shoal.core.registry import DEFAULT_NAMESPACE
from shoal.core.service import address, parse_address

NAMESPACE = b"shoal-namespace"
"""The gRPC metadata that says in which namespace a name is."""
HOST = b"host"
SHORT = frozenset((("infer",), ("predict_all",)))
"""What may be asked of a service's host without saying its name."""

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\Z")

_PORT = re.compile(r":[0-9]+\Z")

Segments = tuple[str, ...]


class Naming:
    """See the module.

    Args:
        domain: of the hosts of services; "" for none.
    """

    def __init__(self, domain: str = "") -> None:
        self.domain = domain.lower().strip(".")

    def segments(self, segments: Segments, headers: Mapping[bytes, bytes]) -> Segments:
        """The segments of the plain path that means the same.

        Raises:
            NotFound: no path, or of another service than the host's.
        """
        namespace = ""
        if segments[:1] == ("ns",):
            if len(segments) < 3 or _model_at(segments[2:]) is None:
                raise NotFound("there is no such path", hint="below /ns/NAMESPACE are the paths of models")
            namespace, segments = segments[1], segments[2:]
            _check_namespace(namespace)
        service = self.service(headers) if self.domain else ""
        if service and segments in SHORT:
            return ("v2", "models", service, *segments)
        at = _model_at(segments)
        if at is None or not (namespace or service):
            return segments
        name = within(segments[at], namespace) if namespace else segments[at]
        return (*segments[:at], _of_host(name, service, namespace) if service else name, *segments[at + 1 :])

    def name(self, name: str, metadata: Mapping[bytes, bytes]) -> str:
        """The address that a gRPC message's name means with this metadata; the host's service if it names none.

        Raises:
            NotFound: of another service than the host's.
        """
        service = self.service(metadata) if self.domain else ""
        if not name:
            return service
        namespace, said = metadata.get(NAMESPACE), ""
        if namespace is not None:
            said = namespace.decode("latin-1")
            _check_namespace(said)
            name = within(name, said)
        return _of_host(name, service, said) if service else name

    def service(self, headers: Mapping[bytes, bytes]) -> str:
        """The address of the service that a request's host is; "" if it is none.

        Raises:
            NotFound: the host is below the domain, but cannot be a service's.
        """
        host = headers.get(HOST, b"").decode("latin-1").lower()
        host, suffix = _PORT.sub("", host).removesuffix("."), f".{self.domain}"
        if not host.endswith(suffix):
            return ""
        labels = host.removesuffix(suffix).split(".")
        if len(labels) > 2 or not all(map(_LABEL.match, labels)):
            raise NotFound(f"{host[:100]!a} is no service's host", hint=f"SERVICE[.NAMESPACE].{self.domain}")
        return address(labels[0], namespace=labels[1] if len(labels) == 2 else DEFAULT_NAMESPACE)


def within(name: str, namespace: str) -> str:
    """The address of a name in a namespace.

    Raises:
        NotFound: the name says another namespace.
    """
    plain, environment, said = parse_address(name)
    if "@" in name and said != namespace:
        raise NotFound(f"namespace {namespace[:100]!a} has no model {name[:100]!a}")
    return address(plain, environment, namespace)


def _of_host(name: str, service: str, within_namespace: str) -> str:
    """The host's service, if that is what the name means, in this namespace if one was said; its environment may be."""
    plain, environment, said = parse_address(name)
    wanted, _, namespace = parse_address(service)
    if plain != wanted or ((within_namespace or "@" in name) and said != namespace):
        raise NotFound(f"this host has no model {name[:100]!a}", hint=f"it is the host of {service!r}")
    return address(plain, environment, namespace)


def _model_at(segments: Segments) -> int | None:
    """Where in a path the model's name is; None if none is there."""
    for prefix in (("v2", "models"), ("v1", "models"), ("v2", "repository", "models"), ("models",)):
        at = len(prefix)
        if segments[:at] == prefix and len(segments) > at:
            return None if segments == ("v2", "models", "stats") else at
    return None


def _check_namespace(namespace: str) -> None:
    if not namespace or "@" in namespace or "+" in namespace:
        raise NotFound("this cannot be a namespace")
