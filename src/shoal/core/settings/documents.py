"""YAML texts as values, with the line of every field, within bounds.

Only plain data is read: no tags, no merge keys, no second document. Size, depth, and the number of values (aliases
counted each time they stand for something) are bounded *before* anything is built, so that no text of a few hundred
bytes can become a mountain. Keys may not come twice. YAML 1.1's habits (`no` is false, `1.10` is 1.1) are kept, and
`Document.text` remembers how a scalar was written, so that an error can explain them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from shoal.core.errors import ConfigError

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 50_000
MAX_ALIASES = 100
MAX_NUMBER = 64
"""Characters of a number, a date or a truth value: YAML 1.1 has bases of 60, and those grow fast."""

Path = tuple[str | int, ...]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map", "timestamp")}


@dataclass(slots=True)
class Document:
    """What a text says.

    Attributes:
        value: `dict`, `list` and scalars.
        line: path of a field -> its line, from 1.
        text: path of a scalar -> how it was written.
    """

    value: Any = None
    line: dict[Path, int] = field(default_factory=dict)
    text: dict[Path, str] = field(default_factory=dict)


def read(text: str | bytes, name: str) -> Document:
    """Read a YAML (or JSON) text.

    Args:
        text: the text; bytes are UTF-8.
        name: what errors call it, such as ``model.yaml``.

    Raises:
        ConfigError: the text is no YAML, crosses a bound, or holds more than plain data.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{name}: it has {len(text)} bytes, at most {MAX_BYTES} are read")
    try:
        _check_bounds(text, name)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            builder = _Builder(loader, name)
            document = Document()
            if node is not None:
                document.value = builder.build(node, (), document)
            return document
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{name}:{line}: {error.problem or error.context}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: it is no YAML: {str(error).splitlines()[0]}") from error


def _check_bounds(text: str | bytes, name: str) -> None:
    depth = aliases = 0
    events: Iterator[Any] = yaml.parse(text, Loader=_Loader)
    for event in events:
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        if depth > MAX_DEPTH:
            raise ConfigError(f"{name}:{event.start_mark.line + 1}: nested more than {MAX_DEPTH} deep")
        if aliases > MAX_ALIASES:
            raise ConfigError(f"{name}:{event.start_mark.line + 1}: more than {MAX_ALIASES} aliases")


class _Builder:
    """Makes values of nodes, and counts them."""

    def __init__(self, loader: Any, name: str) -> None:
        self.loader = loader
        self.name = name
        self.count = 0

    def build(self, node: Any, path: Path, document: Document) -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            raise self.error(node, f"more than {MAX_VALUES} values")
        if len(path) > MAX_DEPTH:
            raise self.error(node, f"nested more than {MAX_DEPTH} deep")
        if node.tag not in _PLAIN:
            raise self.error(node, f"the tag {node.tag} is not allowed: only plain values are read")
        document.line.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, document)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(each, (*path, number), document) for number, each in enumerate(node.value)]
        return self.scalar(node, path, document)

    def mapping(self, node: Any, path: Path, document: Document) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.key(key_node)
            if key in result:
                first = document.line[(*path, key)]
                raise self.error(key_node, f"{key!r} is there twice, first in line {first}")
            document.line[(*path, key)] = key_node.start_mark.line + 1
            result[key] = self.build(value_node, (*path, key), document)
        return result

    def key(self, node: Any) -> str:
        if node.tag == "tag:yaml.org,2002:merge":
            raise self.error(node, "merge keys (`<<`) are not read: write the fields out")
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, "the name of a field must be text")
        return str(node.value)

    def scalar(self, node: Any, path: Path, document: Document) -> Any:
        document.text[path] = node.value
        if node.tag.endswith((":timestamp", ":str")):
            return node.value
        if len(node.value) > MAX_NUMBER:
            raise self.error(node, f"a number has at most {MAX_NUMBER} characters")
        try:
            return self.loader.construct_object(node)
        except (ValueError, LookupError) as error:  # `!!bool 3` and `!!int ''` are a KeyError and an IndexError
            raise self.error(node, f"{node.value!r} is no {node.tag.rpartition(':')[2]}") from error

    def error(self, node: Any, message: str) -> ConfigError:
        return ConfigError(f"{self.name}:{node.start_mark.line + 1}: {message}")
