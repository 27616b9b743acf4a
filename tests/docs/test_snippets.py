"""What the README and the guides say works as it is written; links lead somewhere; no command is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shoal.cli.main import app
from support.snippets import ROOT, Reader, blocks_of, commands_of, matches

GUIDES = sorted((ROOT / "docs/guides").glob("*.md"))
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
RUN = ("sh", "python", "yaml", "output")

TRAINED = """\
import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
joblib.dump(LogisticRegression(max_iter=500).fit(*load_iris(return_X_y=True)), "models/iris.joblib")
"""
SHOUT = """\
class Shout:
    def predict_all(self, inputs: list[str]) -> list[str]:
        return [text.upper() + "!" for text in inputs]
"""


@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", [ROOT / "README.md", *GUIDES], ids=lambda page: page.name)
def test_what_a_page_says_works(page: Path, tmp_path: Path) -> None:
    with Reader(tmp_path) as reader:
        assert reader.read(page) > 0


@pytest.mark.process
@pytest.mark.timeout(120)
def test_the_client_works_as_described(tmp_path: Path) -> None:
    (tmp_path / "models/shout").mkdir(parents=True)
    (tmp_path / "models/shout/model.py").write_text(SHOUT)
    (tmp_path / "start.md").write_text(f"```python\n{TRAINED}```\n```sh\nshoal serve models --trust\n```\n")
    with Reader(tmp_path) as reader:
        reader.read(tmp_path / "start.md")
        assert reader.read(ROOT / "docs/client.md") >= 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not _leads_somewhere(page, link)] == []


def _leads_somewhere(page: Path, link: str) -> bool:
    if link.startswith(("http://", "https://", "mailto:")):
        return True
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    if not anchor or target.suffix != ".md":
        return target.exists()
    return target.is_file() and anchor in {_anchor(title) for title in HEADING.findall(target.read_text())}


def _anchor(title: str) -> str:
    """The anchor that a heading gets on the usual hosts."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_every_command_is_told_of() -> None:
    written = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "docs/client.md", *GUIDES]
    told = "\n".join(path.read_text() for path in written)
    reference = (ROOT / "docs/reference/cli.md").read_text()
    names = [each.callback.__name__ for each in app.registered_commands if each.callback is not None]
    assert names
    assert [name for name in names if f"shoal {name}" not in told] == []
    assert [name for name in names if f"## `shoal {name}`" not in reference] == []


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_every_block_of_a_guide_is_run_or_said_to_be_text(page: Path) -> None:
    assert [block.line for block in blocks_of(page.read_text()) if block.language not in (*RUN, "text")] == []
    assert [block.line for block in blocks_of(page.read_text()) if block.language == "yaml" and not block.file] == []


def test_blocks_are_found_and_files_told_apart() -> None:
    text = "a\n```python\n# models/x/model.py\nclass X: ...\n```\n\n```sh\necho 1  # one\n# two\necho 2 \\\n  3\n```\n"
    file, shell = blocks_of(text)
    assert (file.language, file.file, file.line) == ("python", "models/x/model.py", 2)
    assert (shell.file, commands_of(shell.text)) == ("", ["echo 1", "echo 2    3"])


@pytest.mark.parametrize(
    ("wanted", "printed", "same"),
    [("a  b\nc", "a b\nc\n", True), ("a...c", "a b\nc", True), ("a", "b", False), ("a", "ab", False), ("", "", True)],
)
def test_output_is_compared(wanted: str, printed: str, same: bool) -> None:
    assert matches(wanted, printed) is same
