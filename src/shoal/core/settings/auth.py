"""`auth`: who is let in at the data port, as a node's operator says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from shoal.core.access import ANY, Grant, Principal, expand
from shoal.core.oidc.issuers import ALGORITHMS, Issuer
from shoal.core.oidc.keeping import is_url


def _mode(value: object) -> object:
    return "off" if value is False else value  # what YAML makes of a bare `off`


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        try:
            expand((name,))
        except ValueError:
            raise ValueError(f"{name!r} is neither a role nor a permission") from None
    return names


def _algorithms(names: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [name for name in names if name not in ALGORITHMS]:
        raise ValueError(f"{wrong[0]!r} cannot be allowed; it is {', '.join(ALGORITHMS)}")
    return names


def _place(where: str) -> str:
    if is_url(where) and not where.startswith("https://"):
        raise ValueError("must be an https URL or a file: whoever changes it on the way lets anybody in")
    return where


class GrantSettings(BaseModel):
    """What a value of a claim grants."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    permissions: Annotated[tuple[str, ...], AfterValidator(_known)] = Field(
        min_length=1, description="Roles or permissions, such as `[engineer]`."
    )
    namespace: str = Field("default", description="Where; `*` is everywhere.")
    model: str = Field(ANY, description="Of which model or service; `*` is all of them.")


Certificates = dict[str, tuple[GrantSettings, ...]]
"""What names in clients' certificates grant."""


def certified(certificates: Certificates) -> dict[str, Principal]:
    """Who the names in clients' certificates are."""
    return {name: Principal(name, name, _grants(each), name) for name, each in certificates.items()}


def _grants(settings: tuple[GrantSettings, ...]) -> tuple[Grant, ...]:
    return tuple(Grant(each.permissions, each.namespace, each.model) for each in settings)


class IssuerSettings(BaseModel):
    """An OpenID Connect issuer whose tokens are believed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(min_length=1, description="What a token's `iss` must be, to the letter.")
    audience: str = Field(min_length=1, description="What its `aud` must be, or hold.")
    keys: Annotated[str, AfterValidator(_place)] = Field(description="Its key set (JWKS): an https URL, or a file.")
    algorithms: Annotated[tuple[str, ...], AfterValidator(_algorithms)] = Field(
        ("RS256",), min_length=1, description="How its tokens are signed."
    )
    claim: str = Field("groups", description="The claim that grants; `a.b` is `b` inside of `a`.")
    grants: dict[str, tuple[GrantSettings, ...]] = Field({}, description="What each value of the claim grants.")
    tenant: str = Field("", description="The claim that says whose quota counts; by default the subject.")

    @property
    def value(self) -> Issuer:
        """For the verifier."""
        said: dict[str, Any] = self.model_dump(exclude={"grants"})
        return Issuer(**said, grants={value: _grants(granted) for value, granted in self.grants.items()})


class AuthSettings(BaseModel):
    """Who is let in at the data port."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Annotated[Literal["auto", "off", "keys"], BeforeValidator(_mode)] = Field(
        "auto",
        description="`keys`: nobody without a key or a token; `off`: everybody; `auto`: keys where there are any, of "
        "`keys_file`, of issuers or at control.",
    )
    keys_file: Path | None = Field(
        None, description="File with the keys that are let in (`shoal keys create --file`), instead of control's."
    )
    issuers: tuple[IssuerSettings, ...] = Field((), description="Issuers whose tokens are let in, too.")
    certificates: Certificates = Field(
        {},
        description="What names in clients' certificates grant, with `tls_client_ca`: the first URI, DNS name or "
        "e-mail address of one, else its common name. A key or a token that is sent, too, counts instead.",
    )

    @property
    def required(self) -> bool:
        """Whether nobody is let in without a credential, whatever control says."""
        known = bool(self.keys_file or self.issuers or self.certificates)
        return self.mode == "keys" or (self.mode == "auto" and known)

    @property
    def certified(self) -> dict[str, Principal]:
        """Who the names in clients' certificates are."""
        return certified(self.certificates)

    @property
    def off(self) -> bool:
        """Whether nobody is ever asked."""
        return self.mode == "off"
