"""Versions from an MLflow registry, over its REST API: MLflow itself is not needed, and none of its code runs here.

server      requests to the tracking server
records     its JSON, and what of it becomes lineage
artifacts   where the files are, and the files that the server hands out
importing   one version to the staging folder
"""
