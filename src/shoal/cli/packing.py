"""What `shoal push` and `shoal pull` move: files into a staged package, what is missing over the wire, and back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from shoal.core.registry import Lineage, Manifest, Tags

if TYPE_CHECKING:
    from rich.progress import Progress

    from shoal.client.control import ControlClient

MISSING_AT_ONCE = 1000
ENDINGS = (".tar.gz", ".tar.bz2", ".tar.xz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """Files that are staged to be sent.

    Attributes:
        folder: where they lie.
        name: of the model, unless somebody says another.
        notes: what a person should know of them; sentences.
        description, tags, lineage: what their source says.
    """

    folder: Path
    manifest: Manifest
    name: str
    notes: tuple[str, ...] = ()
    description: str = ""
    tags: Tags = field(default_factory=dict)
    lineage: Lineage = field(default_factory=Lineage)


@contextmanager
def packed(path: Path | None, source: str | None, *, model: bool = True) -> Iterator[Package]:
    """A package of what lies at a path, or at an address; it is gone after the `with` block.

    Args:
        model: refuse files that are no model.

    Raises:
        ShoalError: what is there cannot be taken; the sentence says why.
    """
    with tempfile.TemporaryDirectory(prefix="shoal-push-") as folder:
        if source is not None:
            yield _fetched(source, Path(folder), model=model)
        elif path is not None:
            yield _taken(path, Path(folder), _name_of(path), model=model)


def send(client: ControlClient, package: Package, namespace: str, model: str) -> int:
    """Upload the files that control does not have; how many bytes were sent.

    Raises:
        QuotaExceeded: the namespace has no room for them; nothing was sent.
    """
    into: dict[str, Any] = {"namespace": namespace, "model": model, "size": package.manifest.size}
    files = {entry.sha256: entry for entry in package.manifest.files}
    digests = list(files)
    missing = [
        each
        for start in range(0, len(digests), MISSING_AT_ONCE)
        for each in client.missing(digests[start : start + MISSING_AT_ONCE], **into)
    ]
    total = sum(files[each].size for each in missing)
    with bytes_bar() as bar:
        tally = _Tally(bar, "sending", total)
        for sha256 in missing:
            entry = files[sha256]
            with (package.folder / entry.path).open("rb") as file:
                client.upload(sha256, file, entry.size, tally.of_file)
            tally.next_file(entry.size)
    return total


def receive(client: ControlClient, manifest: Manifest, target: Path, name: str) -> None:
    """Write the files of a manifest to a folder that is not there yet: in whole, or not at all.

    Raises:
        Conflict: the folder is there already.
        CorruptArtifact: what came is not what the digests say.
    """
    from shoal.control.artifacts.storing import retrieve

    with bytes_bar() as bar:
        retrieve(manifest, _Downloads(client, bar, name, manifest.size), target)


class _Downloads:
    """The artifact store as control gives it out, each blob compared with its name on the way."""

    def __init__(self, client: ControlClient, bar: Progress, name: str, total: int) -> None:
        self._client = client
        self._tally = _Tally(bar, name, total)

    def open(self, sha256: str) -> BinaryIO:
        file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            self._client.download(sha256, file, self._tally.of_file)
            self._tally.next_file(file.tell())
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file


class _Tally:
    """Bytes of many files on one bar; a file that is moved again begins again."""

    def __init__(self, bar: Progress, name: str, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task(name, total=total)
        self._before = 0

    def of_file(self, moved: int) -> None:
        """So many bytes of the present file."""
        self._bar.update(self._task, completed=self._before + moved)

    def next_file(self, size: int) -> None:
        """The present file is done."""
        self._before += size


def bytes_bar() -> Progress:
    """A bar of bytes on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def _taken(path: Path, folder: Path, name: str, *, model: bool) -> Package:
    from shoal.control.artifacts.intake import take_in

    taken = take_in(path, folder / "files", model=model)
    return Package(folder=taken.folder, manifest=taken.manifest, name=name, notes=taken.notes)


def _fetched(address: str, folder: Path, *, model: bool) -> Package:
    import os

    from shoal.control.artifacts.intake import take_in
    from shoal.control.sources import SourcePolicy, fetch_source, tracking_from

    anywhere = SourcePolicy(roots=None, buckets=None)
    found = fetch_source(address, folder / "source", allow=anywhere, tracking=tracking_from(os.environ))
    taken = take_in(found.folder, folder / "files", model=model)
    return Package(
        folder=taken.folder,
        manifest=taken.manifest,
        name=found.model,
        notes=taken.notes,
        description=found.description,
        tags=found.tags,
        lineage=found.lineage,
    )


def _name_of(path: Path) -> str:
    """The name of the model, by that of its file or folder."""
    name = path.resolve().name
    ending = next((each for each in ENDINGS if name.lower().endswith(each)), "")
    if ending:
        return name[: -len(ending)]
    return path.resolve().stem if path.is_file() else name
