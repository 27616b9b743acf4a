"""Stages, rollback and deletion as a state machine: whatever is done in whatever order, a registry says what a
dictionary would, each change is told by feed and events once, and nothing that is needed is ever purged.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shoal.control.registry import open_registry
from shoal.core.clock import ManualClock
from shoal.core.errors import Conflict, NotFound
from support.registrations import new, sha256

STAGES = ("production", "staging")
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # nothing here cuts the power
CONTENTS = st.sampled_from("abc")


class RegistryMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="shoal-machine-", dir=MEMORY))
        self.registry = open_registry(f"sqlite:///{self.folder}/registry.db", clock=ManualClock())
        self.contents: dict[int, str] = {}
        self.dead: set[int] = set()
        self.purged: set[int] = set()
        self.points: dict[str, int] = dict.fromkeys(STAGES, 0)
        self.undo: dict[str, list[int]] = {stage: [] for stage in STAGES}
        self.changes = 0
        self.moves = 0

    @rule(content=CONTENTS)
    def register(self, content: str) -> None:
        number = self.registry.register(new(content=content)).version
        assert number == len(self.contents) + 1
        self.contents[number] = content
        self.changes += 1

    @rule(stage=st.sampled_from(STAGES), number=st.integers(1, 6), expect=st.sampled_from([None, 0, 1, 2]))
    def move(self, stage: str, number: int, expect: int | None) -> None:
        now = self.points[stage]
        try:
            self.registry.move_stage("default", "iris", stage, number, expected=expect)
        except NotFound:
            assert not self._there(number)
        except Conflict:
            assert expect not in (None, now)
        else:
            assert self._there(number)
            assert now == number or expect in (None, now)
            self._point(stage, number)

    @rule(stage=st.sampled_from(STAGES))
    def remove(self, stage: str) -> None:
        try:
            self.registry.move_stage("default", "iris", stage, None)
        except NotFound:
            assert not self.points[stage]
        else:
            self._point(stage, 0)

    @rule(stage=st.sampled_from(STAGES))
    def rollback(self, stage: str) -> None:
        left = list(self.undo[stage])
        while left and (left[-1] in (0, self.points[stage]) or not self._there(left[-1])):
            left.pop()
        try:
            move = self.registry.rollback("default", "iris", stage)
        except NotFound:
            assert not left
        else:
            assert move.version == left[-1]
            self.points[stage], self.undo[stage] = left[-1], left[:-1]
            self._counted()

    @rule(number=st.integers(1, 6))
    def delete(self, number: int) -> None:
        try:
            self.registry.delete_version("default", "iris", number)
        except NotFound:
            assert number not in self.contents
        except Conflict:
            assert number in self.points.values()
        else:
            assert number not in self.points.values()
            self.changes += number not in self.dead
            self.dead.add(number)

    @rule()
    def purge(self) -> None:
        assert self.registry.purge(0) == len(self.dead - self.purged)
        self.purged |= self.dead

    @invariant()
    def the_registry_says_what_the_dictionary_says(self) -> None:
        if not self.contents:
            return
        alive = sorted(self.contents.keys() - self.dead)
        model = self.registry.model("default", "iris")
        assert model.latest == max(alive, default=0)
        assert model.stages == {stage: number for stage, number in self.points.items() if number}
        assert [each.version for each in self.registry.versions("default", "iris")] == alive[::-1]
        for number in alive:
            digest = self.registry.version("default", "iris", str(number)).digest
            assert self.registry.manifest(digest).files[0].sha256 == sha256(self.contents[number])
        kept = {sha256(content) for number, content in self.contents.items() if number not in self.purged}
        assert set(self.registry.live_digests()) == kept

    @invariant()
    def each_change_is_told_once(self) -> None:
        assert self.registry.position() == self.changes
        assert len(self.registry.changes(0, 10_000).changes) == self.changes
        if self.contents:
            assert len(self.registry.stage_history("default", "iris", limit=10_000)) == self.moves

    def _there(self, number: int) -> bool:
        return number in self.contents and number not in self.dead

    def _point(self, stage: str, number: int) -> None:
        if self.points[stage] != number:
            self.undo[stage].append(self.points[stage])
            self.points[stage] = number
            self._counted()

    def _counted(self) -> None:
        self.moves += 1
        self.changes += 1

    def teardown(self) -> None:
        if hasattr(self, "registry"):
            self.registry.close()
            shutil.rmtree(self.folder)


TestRegistry = RegistryMachine.TestCase
TestRegistry.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
