"""A repository for MLServer that reads the settings of the one model that is asked for, not of all that there are.

MLServer's own looks through the whole folder whenever a model is loaded. This one is what its extension point
(`model_repository_implementation`) allows a user to write.
"""

from __future__ import annotations

from contextlib import suppress

from mlserver.errors import ModelNotFound
from mlserver.repository import SchemalessModelRepository
from mlserver.repository.load import load_model_settings
from mlserver.settings import ModelSettings


class DirectRepository(SchemalessModelRepository):
    async def find(self, name: str) -> list[ModelSettings]:
        for folder in (self._root, f"{self._root}/rest"):
            with suppress(FileNotFoundError):
                return [load_model_settings(f"{folder}/{name}/model-settings.json")]
        raise ModelNotFound(name)
