"""The code in documentation, found and run.

    # models/x/model.py   a `python` or `yaml` block that begins with a path is a file of the reader's
    sh                    commands, run in order; `shoal serve` goes on in the background until the next one, or the end
    python                a program of its own
    output                what the block before it has printed; `...` stands for anything

Blocks of other languages, or of none, are not run. What is written for `http://127.0.0.1:8080` is run against the node that
the document has started, wherever it listens.
"""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]
DEFAULT = "http://127.0.0.1:8080"
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w./-]+/[\w.-]+\.(?:py|yaml))\b")
COMMENT = re.compile(r"\s{2,}#.*$")
START_SECONDS = 60.0
COMMAND_SECONDS = 240.0
"""How long one command may take: the longest is a script that walks through an example."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and the line on which it begins."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """The path of the file that it is, or ""."""
        found = FILE.match(self.text)
        return found[1] if found and self.language in ("python", "yaml") else ""


def blocks_of(text: str) -> list[Block]:
    """All fenced blocks of a document, in order."""
    return [Block(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in FENCE.finditer(text)]


def commands_of(text: str) -> list[str]:
    """The commands of a `sh` block, comments left out."""
    lines = [COMMENT.sub("", line).rstrip() for line in text.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


class Reader:
    """Somebody who does what a document says, in a folder of his own.

    Args:
        home: where files are written and commands run.
        url: of a node that runs already, or "".
    """

    def __init__(self, home: Path, url: str = "") -> None:
        self.home = home
        self.url = url
        self._node: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop_serving()

    def _stop_serving(self) -> None:
        if self._node is not None:
            self._node.send_signal(signal.SIGTERM)
            try:
                self._node.wait(20)
            finally:
                self._node.kill()
                self._node = None

    def read(self, document: Path) -> int:
        """Do all that the document says; how many blocks were run.

        Raises:
            AssertionError: a command failed or printed something else; the message has the document's line.
        """
        blocks = blocks_of(document.read_text())
        for block in blocks:
            if block.file:
                self._write(block)
        printed, count = "", 0
        for block in blocks:
            where = f"{document.name}:{block.line}"
            if block.language == "output":
                assert matches(block.text, printed), f"{where}: it prints\n{printed}"
            elif block.language in ("sh", "python") and not block.file:
                printed = (
                    self._run_python(block, where) if block.language == "python" else self._run_shell(block, where)
                )
                count += 1
        return count

    def _write(self, block: Block) -> None:
        target = self.home / block.file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.text)

    def _run_python(self, block: Block, where: str) -> str:
        return self._run([sys.executable, "-c", self._here(block.text)], where)

    def _run_shell(self, block: Block, where: str) -> str:
        return "\n".join(self._do(command, where) for command in commands_of(block.text))

    def _do(self, command: str, where: str) -> str:
        """One command; those that install, test the project or take long are run in their short forms."""
        if command.startswith("pip install"):
            return ""
        if command.startswith("make "):
            return self._run(["make", "-n", "-C", str(ROOT), *shlex.split(command)[1:]], where)
        if command.startswith("shoal serve"):
            self._serve(command)
            return ""
        if command.startswith("shoal bench") and "--duration" not in command:
            command += " --duration 0.3"
        return self._run(["bash", "-o", "pipefail", "-ec", self._here(command)], where)

    def _run(self, command: list[str], where: str) -> str:
        seen = subprocess.run(
            command, cwd=self.home, env=self._environment(), capture_output=True, text=True, timeout=COMMAND_SECONDS
        )
        assert seen.returncode == 0, f"{where}: {command[-1]}\n{seen.stdout}{seen.stderr}"
        return seen.stdout

    def _here(self, text: str) -> str:
        return text.replace(DEFAULT, self.url) if self.url else text

    def _environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "SHOAL"))}
        own = {"SHOAL_URL": self.url or DEFAULT, "SHOAL_HOME": str(self.home / ".shoal"), "SHOAL_CONTROL_PORT": "0"}
        return {**clean, "PATH": path, **own, "COLUMNS": "120"}

    def _serve(self, command: str) -> None:
        self._stop_serving()
        reader, writer = os.pipe()
        words = [*shlex.split(command), "--port", "0", "--ready-fd", str(writer)]
        with (self.home / "node.log").open("wb") as log:
            self._node = subprocess.Popen(
                words, cwd=self.home, env=self._environment(), stdout=log, stderr=log, pass_fds=[writer]
            )
        os.close(writer)
        try:
            ready, _, _ = select.select([reader], [], [], START_SECONDS)
            line = os.read(reader, 65536) if ready else b""
        finally:
            os.close(reader)
        assert line, (self.home / "node.log").read_text()
        self.url = str(json.loads(line)["url"])


def matches(wanted: str, printed: str) -> bool:
    """Whether a text is what a document says; runs of blanks are one, `...` is anything."""
    parts = [re.escape(" ".join(part.split())) for part in wanted.split("...")]
    return re.fullmatch(r"\s*" + ".*".join(parts) + r"\s*", " ".join(printed.split()), re.DOTALL) is not None
