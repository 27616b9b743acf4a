"""The command that starts a worker."""

from __future__ import annotations

import sys

from shoal.serving.pool.processes.interpreters import worker_command


def test_without_an_interpreter_of_its_own_a_worker_runs_on_the_nodes() -> None:
    assert worker_command() == (sys.executable, "-m", "shoal.serving.worker")


def test_in_a_built_environment_python_is_isolated_and_still_unbuffered() -> None:
    command = worker_command("/environments/1/bin/python")

    assert command[0] == "/environments/1/bin/python"
    assert command[-2:] == ("-m", "shoal.serving.worker")
    assert {"-I", "-u", "faulthandler"} < set(command)
