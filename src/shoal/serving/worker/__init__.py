"""The child's side of a worker process.

Read in this order: `main` (start), `loop` (what the parent says), `residency` (what is loaded), `batch` (one batch:
`decode`, `binding`, `stacking`, `styles`, `execution`, `columns`, `encode`), `contract` (the check at load).
"""
