"""The parent's side of workers: processes, their channels, their supervision.

Read in this order: `jobs` (what is sent), `pool` (all workers of a model version), `member` (one worker), `backlog`
(what it has not answered), `alone` (it serves one model), `process` and `channel` (its operating-system side), `keeper`
and `supervisor` (it is started again; when is pure). Workers that many models share: `shared`, and from there `seat`,
`arrivals`, `place`, `loads`, `moving`, `line`.
The process of an app, which is no worker: `app`, and `stopping` for it and other children of the node.
"""
