"""`confinement`: what the workers of a node may do, as its operator says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from shoal.core.confinement import Level, Rules
from shoal.core.settings import quantities

MOST_USERS = 65_536

Size = Annotated[
    int,
    BeforeValidator(quantities.size),
    WithJsonSchema({"type": ["integer", "string"], "description": "bytes, or a size such as 512Mi"}),
]


def _users(text: str) -> str:
    """`FIRST-LAST`, or nothing."""
    first, dash, last = text.partition("-")
    if text and not (dash and first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last) < 2**31):
        raise ValueError("it is neither FIRST-LAST, such as 60706-61183, nor empty")
    if text and int(last) - int(first) >= MOST_USERS:
        raise ValueError(f"there are more than {MOST_USERS} user ids in it")
    return text


def _split(value: object) -> object:
    """Paths in one text, with colons between, as in an environment variable."""
    return [each for each in value.split(":") if each] if isinstance(value, str) else value


Paths = Annotated[tuple[Path, ...], BeforeValidator(_split)]


class ConfinementSettings(BaseModel):
    """What workers give up before they run a model's code."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Level = Field(
        "basic",
        description="`basic` applies what this machine has, and tells of what it has not; `strict` starts no worker "
        "without all that holds for an ordinary user; `off` applies nothing.",
    )
    network: Literal["asked", "always", "never"] = Field(
        "asked",
        description="Who may use the network: models that say `network: true`, all models, or none.",
    )
    users: Annotated[str, AfterValidator(_users)] = Field(
        "60706-61183",
        description="User ids that workers get, one each, where the node is root; empty: they keep the node's.",
    )
    readable: Paths = Field((), description="Further files and folders that every worker may read.")
    writable: Paths = Field((), description="Further folders that every worker may write.")
    processes: int = Field(512, ge=16, le=1 << 20, description="Processes and threads of one worker.")
    open_files: int = Field(4096, ge=64, le=1 << 20, description="Files that one worker may have open.")
    file_size: Size = Field(4 * 1024**3, gt=0, description="The largest file that a worker may write, such as `4Gi`.")

    @property
    def rules(self) -> Rules | None:
        """The same for those who go by it; None: nothing is confined."""
        if self.level == "off":
            return None
        first, _, last = self.users.partition("-")
        return Rules(
            level=self.level,
            network=self.network,
            users=(int(first), int(last)) if self.users else None,
            readable=tuple(str(each.expanduser().absolute()) for each in self.readable),
            writable=tuple(str(each.expanduser().absolute()) for each in self.writable),
            processes=self.processes,
            open_files=self.open_files,
            file_bytes=self.file_size,
        )
