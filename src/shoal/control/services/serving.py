"""Which version answers for a model without a service, what a version must have to answer, and which changes matter.

Pure: values of the registry in, decisions out.
"""

from __future__ import annotations

import re

from shoal.core.errors import ConfigError, NotFound, PermissionDenied
from shoal.core.registry import LATEST, PRODUCTION, Model, Policy, Version, check_label
from shoal.core.routes import Change
from shoal.core.service import Service, parse_address
from shoal.core.settings.schema import check_name

_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def implicit(model: Model, policy: Policy) -> Service | None:
    """The service of a model that has none: a seat in the shared pool, for what the policy says.

    A model without any stage serves its latest version, so that one push is enough; with stages it serves the policy's
    alone. None: the policy serves nothing that has no service.
    """
    if not policy.served_stage:
        return None
    return Service(
        namespace=model.namespace,
        name=model.name,
        environment=PRODUCTION,
        model_namespace=model.namespace,
        model=model.name,
        ref=policy.served_stage if model.stages else LATEST,
        description=model.description,
        owner=model.owner,
        tags=model.tags,
        placement="shared",
    )


def required_keys(version: Version, policy: Policy, *, environment: str, ref: str) -> tuple[str, ...]:
    """The keys of which one must have signed a version that is to answer; empty: none need have.

    The policy's signed stages count for what is followed and for the environment: a service in production may not get
    around its policy by naming a number.

    Raises:
        PermissionDenied: a signature is wanted, and there is none, or no key to check it by.
    """
    wanted = sorted({environment, ref} & {*policy.signed_stages})
    if not wanted:
        return ()
    what = f"version {version.version} of the model {version.model}"
    if not version.signature:
        hint = f"push it again with `--sign KEY`: namespace {version.namespace} wants signatures for {wanted[0]}"
        raise PermissionDenied(f"{what} is not signed", hint=hint, field="signature")
    if not policy.trusted_keys:
        hint = f"add the public key to the policy of namespace {version.namespace}"
        raise PermissionDenied(f"the signature of {what} cannot be checked: no key is trusted", hint=hint)
    return policy.trusted_keys


def reads(service: Service) -> frozenset[tuple[str, str]]:
    """Namespace and name of each model of which a service needs a version."""
    fetched = [(each.namespace, each.model) for each in service.downloads] if service.autodownload else []
    return frozenset([(service.model_namespace, service.model), *fetched])


def touches(change: Change, service: Service) -> bool:
    """Whether the route of a service may be another one after a change."""
    match change.kind:
        case "service":
            return (change.namespace, change.name) == (service.namespace, service.name) and (
                change.environment in ("", service.environment)
            )
        case "model":
            return (change.namespace, change.name) in reads(service)
        case "namespace":
            return change.namespace in (service.namespace, *(namespace for namespace, _ in reads(service)))
        case "access":
            return False


def parts_of(address: str) -> tuple[str, str, str]:
    """Name, environment and namespace of an address that somebody has written.

    Raises:
        NotFound: no service can have it.
    """
    name, environment, namespace = parse_address(address)
    try:
        return check_name(name), check_label(environment, "environment"), check_label(namespace, "namespace")
    except (ValueError, ConfigError) as error:
        hint = "write NAME, NAME+ENVIRONMENT, NAME@NAMESPACE or NAME+ENVIRONMENT@NAMESPACE"
        raise NotFound(f"{address[:200]!a} is no address", hint=hint, field="address") from error


def check_ref(ref: str) -> str:
    """A version as somebody has written it: a number, an alias, a stage or ``latest``.

    Raises:
        NotFound: no version can have it.
    """
    if not _REF.match(ref):
        hint = "a version is a number, an alias, a stage or latest"
        raise NotFound(f"there is no version {ref[:64]!a}", hint=hint, field="version")
    return ref
