import ast
from itertools import product

import pytest

from shoal.cli.frameworks import FRAMEWORKS
from shoal.cli.scaffold import project_files
from shoal.core.errors import ConfigError

KINDS = ("no-code", "low-code", "full-custom")


@pytest.mark.parametrize(("kind", "framework"), [*product(KINDS, FRAMEWORKS), *product(KINDS[1:], ["text"])])
def test_every_offered_combination_is_valid_python(kind: str, framework: str) -> None:
    files = project_files("my-model.2", kind, framework)
    for name, text in files.items():
        assert "$" not in text, name
        if name.endswith(".py"):
            ast.parse(text)
    assert {"model.yaml", "test_model.py", "README.md", "requirements.txt"} <= set(files)
    assert ("app.py" in files) == (kind == "full-custom")


@pytest.mark.parametrize(("name", "kind", "framework"), [("a b", "no-code", "sklearn"), ("a", "no-code", "text")])
def test_what_makes_no_sense_is_refused(name: str, kind: str, framework: str) -> None:
    with pytest.raises(ConfigError):
        project_files(name, kind, framework)
