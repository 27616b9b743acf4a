"""The child's side of a worker process.

Read in this order: `main` (start), `loop` (what the parent says), `residency` (what is loaded; `loader` and `upkeep`
where many models share a worker), `batch` (one batch); then what a batch goes through: `decode`, `binding`, `stacking`;
`styles` with `typed`, `text`, `awaited`; `execution`, `columns`, `encode`. `contract` is the check at load.
"""
