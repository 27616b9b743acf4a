"""What people type for a model, a service, `key=value`: text to nouns, with a sentence when it cannot be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from shoal.core.errors import ConfigError
from shoal.core.registry import DEFAULT_NAMESPACE, LATEST, Scalar
from shoal.core.service import parse_address


class ModelRef(NamedTuple):
    """A version that somebody has named."""

    namespace: str
    model: str
    ref: str


class ServiceRef(NamedTuple):
    """A service that somebody has named."""

    namespace: str
    name: str
    environment: str


def model_ref(text: str, namespace: str = DEFAULT_NAMESPACE, ref: str = LATEST) -> ModelRef:
    """``[NAMESPACE/]NAME[:REF]``; what is not said is as given.

    Raises:
        ConfigError: there is no name in it.
    """
    place, slash, rest = text.rpartition("/")
    name, colon, said = rest.partition(":")
    if not name or (slash and not place) or (colon and not said) or "/" in place:
        raise ConfigError(f"{text!r} names no model", hint="write it like iris, team-a/iris or iris:production")
    return ModelRef(place or namespace, name, said or ref)


def service_ref(text: str, environment: str | None = None) -> ServiceRef:
    """``NAME[+ENVIRONMENT][@NAMESPACE]``; an environment that is said beside it must not contradict.

    Raises:
        ConfigError: there is no name in it, or two environments are named.
    """
    name, said, namespace = parse_address(text)
    if not name:
        raise ConfigError(f"{text!r} names no service", hint="write it like iris, iris+staging or iris@team-a")
    if environment is not None and "+" in text and said != environment:
        raise ConfigError(f"{text!r} and --env {environment} name two environments", hint="say one of them")
    return ServiceRef(namespace, name, environment or said)


def environments(words: Iterable[str]) -> tuple[str, str]:
    """``staging->production``, or the two as words.

    Raises:
        ConfigError: there are not two.
    """
    parts = [part for word in words for part in word.replace("→", "->").split("->")]
    if len(parts) != 2 or not all(part.strip() for part in parts):
        raise ConfigError("name two environments", hint="such as 'staging->production', or staging production")
    return parts[0].strip(), parts[1].strip()


def pairs(texts: Iterable[str] | None, option: str) -> dict[str, str]:
    """``key=value``, many times.

    Raises:
        ConfigError: one of them has no key.
    """
    found = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ConfigError(f"{option} {text!r} is no key=value", hint=f"such as {option} task=demo")
        found[key] = value
    return found


def numbers(texts: Iterable[str] | None, option: str) -> dict[str, float]:
    """``name=number``, many times."""
    found = {}
    for name, value in pairs(texts, option).items():
        try:
            found[name] = float(value)
        except ValueError:
            raise ConfigError(f"{option} {name}={value} is no number", hint=f"such as {option} accuracy=0.97") from None
    return found


def scalars(texts: Iterable[str] | None, option: str) -> dict[str, Scalar]:
    """``name=value``, where what looks like a number or a truth value is one."""
    return {name: _scalar(value) for name, value in pairs(texts, option).items()}


def _scalar(text: str) -> Scalar:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
