"""What a real worker of a real pool can see of the node: no secret, and no descriptor but its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

import pytest

from shoal.core.confinement import Rules
from shoal.core.model import ModelSpec
from shoal.serving.pool.confining.confiner import Confiner
from shoal.serving.pool.pool import Pool

pytestmark = pytest.mark.process

CANARY = "canary-9b1c"
NAMES = (
    "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "DATABASE_URL", "HF_TOKEN", "HF_ENDPOINT",
    "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_URI", "PYTHON_KEYRING_PASSWORD", "SHOAL_CONTROL", "SHOAL_KEY",
    "SHOAL_REGISTRY", "TORCH_API_KEY", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK", "KUBECONFIG", "DOCKER_HOST", "ANYTHING",
)  # fmt: skip
MODEL = """
class Echo:
    def predict_all(self, inputs):
        return list(inputs)
"""


@pytest.mark.parametrize("confined", [False, True])
def test_a_worker_sees_no_secret_and_no_descriptor_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confined: bool
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, f"https://user:{CANARY}@host/{CANARY}")
    (tmp_path / "model.py").write_text(MODEL)
    spec = ModelSpec(name="echo", path=str(tmp_path), runtime="python", trust="code", environment={"GIVEN": "yes"})
    confiner = Confiner(Rules()) if confined else None
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)  # as a careless library leaves it

    async def scenario() -> None:
        pool = Pool(spec, confiner=confiner)
        try:
            await pool.start()
            (pid,) = pool.processes()
            _look_at(Path("/proc", str(pid)))
        finally:
            await pool.stop()

    try:
        asyncio.run(scenario())
    finally:
        os.close(reader)
        os.close(writer)
        if confiner is not None:
            confiner.close()


def _look_at(process: Path) -> None:
    for place in ("cmdline", "comm", "status"):
        assert CANARY.encode() not in (process / place).read_bytes(), place
    if not os.access(process / "environ", os.R_OK):
        return  # an ordinary user may not look into a process that lets nobody look
    environment = (process / "environ").read_bytes()
    assert b"GIVEN=yes" in environment
    assert CANARY.encode() not in environment
    kinds = [re.split(r"[:\[]", os.readlink(each))[0] for each in (process / "fd").iterdir()]
    assert sorted(kinds) == ["/dev/null", "pipe", "pipe", "socket"], json.dumps(kinds)
