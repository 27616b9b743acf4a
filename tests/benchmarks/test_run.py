from __future__ import annotations

import pytest

from benchmarks.figures import FIGURES
from benchmarks.peers import PEERS
from benchmarks.run import QUICK_PEERS, arguments, is_whole, lab_for


def test_the_default_is_the_whole_run() -> None:
    options = arguments([])
    assert is_whole(options)
    assert options.figures == list(FIGURES) == list(range(1, 14))
    assert list(lab_for(options).chosen) == list(PEERS)


@pytest.mark.parametrize("words", [["--quick"], ["--figures", "1"], ["--peers", "mosec"], ["--subject", "reference"]])
def test_a_part_is_not_stored(words: list[str]) -> None:
    assert not is_whole(arguments(words))


def test_the_figures_of_one_section_are_a_run_of_their_own() -> None:
    assert is_whole(arguments(["--figures", "8,9,10,11,12"]))
    assert is_whole(arguments(["--figures", "13"]))


def test_quick_is_shorter_and_keeps_what_is_asked_for() -> None:
    quick = lab_for(arguments(["--quick"]))
    assert (quick.repeats, quick.seconds, list(quick.chosen)) == (2, 1, list(QUICK_PEERS))
    asked = lab_for(arguments(["--quick", "--repeats", "4", "--peers", "ray"]))
    assert (asked.repeats, asked.chosen) == (4, ["ray"])


@pytest.mark.parametrize("words", [["--figures", "14"], ["--peers", "nobody"]])
def test_unknown_names_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(words)
    assert "no " in capsys.readouterr().err
