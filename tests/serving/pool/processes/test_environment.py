from __future__ import annotations

from shoal.serving.pool.processes.environment import KEPT, KEPT_PREFIXES, THREAD_LIMITS, worker_environment


def test_thread_limits_are_those_of_the_model() -> None:
    made = worker_environment({"PATH": "/bin"}, threads=2)
    assert {made[name] for name in THREAD_LIMITS} == {"2"}
    assert made["PATH"] == "/bin"


def test_what_the_user_says_wins() -> None:
    made = worker_environment({"OMP_NUM_THREADS": "4"}, threads=1, settings={"MKL_NUM_THREADS": "3", "A": "b"})
    assert (made["OMP_NUM_THREADS"], made["MKL_NUM_THREADS"], made["A"]) == ("4", "3", "b")


def test_secrets_and_unknown_things_of_the_node_stay_with_it() -> None:
    outside = {
        "AWS_SECRET_ACCESS_KEY": "x",
        "HF_TOKEN": "x",
        "MLFLOW_TRACKING_PASSWORD": "x",
        "SHOAL_KEY": "x",
        "X": "x",
    }
    assert not set(outside) & set(worker_environment(outside, threads=1))


def test_addresses_with_a_password_stay_with_the_node() -> None:
    outside = {"HF_ENDPOINT": "https://me:secret@hub", "LANG": "C", "TORCH_URL": "https://hub/a@b"}
    made = worker_environment(outside, threads=1)
    assert "HF_ENDPOINT" not in made
    assert made["LANG"] == "C"
    assert made["TORCH_URL"] == "https://hub/a@b"


def test_each_variable_that_is_passed_on_has_a_reason() -> None:
    assert all({**KEPT, **KEPT_PREFIXES}.values())
