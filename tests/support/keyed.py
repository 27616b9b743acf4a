"""A control that wants keys, and keys for it."""

from __future__ import annotations

from typing import Any

import httpx

from support.control_world import World

ADMIN = {"name": "root", "grants": [{"permissions": ["admin"], "namespace": "*"}]}


class Keyed:
    """A world whose first key was made: from then on everybody needs one. `ask` without a key is an administrator's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin = self._text(world.ask("POST", "/v1/keys", json=ADMIN))
        world.http.headers["authorization"] = f"Bearer {self.admin}"

    def key(self, *permissions: str, namespace: str = "default", model: str = "*", **more: Any) -> str:
        """The text of a new key."""
        grant = {"permissions": permissions, "namespace": namespace, "model": model}
        return self.give([grant], **more)

    def give(self, grants: list[dict[str, Any]], *, by: str | None = None, **more: Any) -> str:
        """The text of a new key with these grants, made by an administrator or whoever has the key `by`."""
        body = {"name": "somebody", "grants": grants, **more}
        return self._text(self.ask(self.admin if by is None else by, "POST", "/v1/keys", json=body))

    def ask(self, key: str, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask with a key, "" without one."""
        headers = dict(more.pop("headers", {}))
        self.world.http.headers.pop("authorization", None)
        if key:
            headers["authorization"] = f"Bearer {key}"
        try:
            return self.world.ask(method, path, headers=headers, **more)
        finally:
            self.world.http.headers["authorization"] = f"Bearer {self.admin}"

    def told(self, key: str, method: str, path: str, **more: Any) -> tuple[int, str]:
        """Status and code of a refusal."""
        answer = self.ask(key, method, path, **more)
        return answer.status_code, str(answer.json()["code"])

    def records(self, outcome: str = "") -> list[dict[str, Any]]:
        """The audit log, newest first."""
        found = self.world.get("/v1/events", limit=1000)["events"]
        return [each for each in found if not outcome or each["outcome"] == outcome]

    def _text(self, answer: httpx.Response) -> str:
        assert answer.status_code == 201, answer.text
        return str(answer.json()["key"])
