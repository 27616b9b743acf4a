"""The nouns of the registry: namespaces, models, versions, stages, and the files of an artifact.

All are immutable values that cross processes as JSON. A **version** is a number (1, 2, ...) that never changes its
content: its `Manifest` names every file by digest, and the manifest's own digest names the whole. A **stage** is a
label of a model that points at one version and may be moved; each move is kept. An **alias** is a version's second name
(such as ``0.1.0``), given once, at registration.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal

import msgspec

from shoal.core.errors import ConfigError, InvalidInput

DEFAULT_NAMESPACE = "default"
LATEST = "latest"
"""The word for the highest version that is not deleted."""
PRODUCTION = "production"
ARCHIVED = "archived"

_LABEL = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")

Tags = dict[str, str]
Scalar = str | int | float | bool


def check_label(text: str, what: str) -> str:
    """A namespace's, stage's, environment's or pool's name.

    Raises:
        ConfigError: it may not be one.
    """
    if not _LABEL.match(text):
        hint = "1 to 63 lower-case letters, digits and '-', beginning with a letter"
        raise ConfigError(f"{text[:80]!a} cannot be the name of a {what}", hint=hint, field=what)
    return text


def check_alias(text: str) -> str:
    """A version's second name, which must not look like a number or a word of ours.

    Raises:
        InvalidInput: it may not be one.
    """
    if not _ALIAS.match(text) or text.isdecimal() or text == LATEST:
        hint = "letters, digits, '.', '_' and '-', such as 0.1.0; numbers are given out by the registry"
        raise InvalidInput(f"{text[:80]!a} cannot be an alias", hint=hint, field="alias")
    return text


class FileEntry(msgspec.Struct, frozen=True):
    """One file of an artifact.

    Attributes:
        path: relative, with '/' between its parts; plain names only (no '.', '..', control characters).
        size: bytes.
        sha256: of its content, as 64 hexadecimal digits; the name of its blob.
    """

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """All files of an artifact, ordered by path."""

    files: tuple[FileEntry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)

    def encode(self) -> bytes:
        """The canonical form: JSON, files in the order of their paths, keys in the order of the class."""
        return msgspec.json.encode(Manifest(tuple(sorted(self.files, key=lambda each: each.path))))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, as 64 hexadecimal digits: the artifact's name."""
        return hashlib.sha256(self.encode()).hexdigest()


class Lineage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a version comes from; what of it is mandatory is the namespace's policy.

    Attributes:
        dataset: what it was trained on, such as ``s3://data/iris.parquet``.
        dataset_hash: digest of that data.
        method: of training, such as ``sklearn.svm.SVC``.
        hyperparameters: of the method.
        metrics: of the evaluation.
        code: reference to the code, such as a commit.
    """

    dataset: str = ""
    dataset_hash: str = ""
    method: str = ""
    hyperparameters: dict[str, Scalar] = {}
    metrics: dict[str, float] = {}
    code: str = ""


LINEAGE_FIELDS = Lineage.__struct_fields__


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a namespace asks of its versions and services.

    Attributes:
        required_lineage: fields of `Lineage` without which nothing is registered.
        allow_code: whether formats that carry code (pickle, Python) may be registered at all.
        allow_network: whether workers of its models and services may use the network, whatever these ask for.
        signed_stages: stages that only versions with a valid signature may get.
        trusted_keys: public keys (PEM) whose signatures are valid here.
        served_stage: the stage that is served for a model that has no service; a model without any stage serves its
            latest version. "" serves nothing without a service.
        public: whether predictions may be shared (by a cache) with callers of other namespaces.
    """

    required_lineage: tuple[str, ...] = ()
    allow_code: bool = True
    allow_network: bool = True
    signed_stages: tuple[str, ...] = ()
    trusted_keys: tuple[str, ...] = ()
    served_stage: str = PRODUCTION
    public: bool = False


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """A team's or tenant's own room; names are unique within it."""

    name: str
    description: str = ""
    owner: str = ""
    policy: Policy = Policy()
    created: float = 0.0


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A name in a namespace.

    Attributes:
        stages: the version number of each stage.
        latest: the highest version number that is not deleted; 0 if there is none.
        created: Unix seconds.
        deleted: whether it is a tombstone.
    """

    namespace: str
    name: str
    description: str = ""
    owner: str = ""
    tags: Tags = {}
    stages: dict[str, int] = {}
    latest: int = 0
    created: float = 0.0
    deleted: bool = False


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be registered; its blobs are in the artifact store already.

    Attributes:
        version: the number that it must get, or None: the next one.
        runtime: the adapter, as recognised at intake (see `core.formats`).
        trust: "code" if it is of a format that can carry code and whoever pushed it may deploy code.
        signature: an OpenSSF model signature (a Sigstore bundle as JSON) of the manifest's files, or "".
    """

    namespace: str = DEFAULT_NAMESPACE
    model: str
    version: int | None = None
    manifest: Manifest
    runtime: str = ""
    trust: Literal["", "code"] = ""
    alias: str = ""
    description: str = ""
    owner: str = ""
    tags: Tags = {}
    lineage: Lineage = Lineage()
    signature: str = ""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A registered version.

    Attributes:
        digest: of its manifest.
        size: bytes of all its files.
        created: Unix seconds.
        creator: who registered it.
        stages: labels that point at it now.
        deleted: whether it is a tombstone: it is refused to everybody, and its blobs may be collected.
    """

    namespace: str
    model: str
    version: int
    digest: str
    size: int
    runtime: str = ""
    trust: Literal["", "code"] = ""
    alias: str = ""
    description: str = ""
    tags: Tags = {}
    lineage: Lineage = Lineage()
    signature: str = ""
    created: float = 0.0
    creator: str = ""
    stages: tuple[str, ...] = ()
    deleted: bool = False


class StageMove(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a stage's history.

    Attributes:
        version: where the stage points from now on; 0 when it was removed.
        previous: where it pointed before; 0 when it was new.
        at: Unix seconds.
    """

    namespace: str
    model: str
    stage: str
    version: int
    previous: int
    at: float
    actor: str = ""
    comment: str = ""
