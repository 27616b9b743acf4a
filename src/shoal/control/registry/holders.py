"""Whose a file is: the models that have a version with it."""

from __future__ import annotations

from sqlalchemy import select

from shoal.control.registry import schema
from shoal.control.registry.part import Part

Name = tuple[str, str]
"""Namespace and model."""


class HoldersPart(Part):
    """From digests back to models."""

    def holders_of_manifest(self, digest: str) -> list[Name]:
        """The models that have a version with these files, deleted versions left out."""
        return self._holders([digest])

    def holders_of_blob(self, sha256: str) -> list[Name]:
        """The models that have a version with this file."""
        wanted = select(schema.blobs.c.manifest).where(schema.blobs.c.sha256 == sha256)
        with self._reading() as connection:
            manifests = list(connection.execute(wanted).scalars())
        return self._holders(manifests)

    def _holders(self, manifests: list[str]) -> list[Name]:
        models, versions = schema.models.c, schema.versions.c
        joined = schema.models.join(schema.versions, models.id == versions.model_id)
        mine = (versions.digest.in_(manifests), versions.deleted.is_(False))
        wanted = select(models.namespace, models.name).select_from(joined).where(*mine).distinct()
        with self._reading() as connection:
            return [(row.namespace, row.name) for row in connection.execute(wanted)]
