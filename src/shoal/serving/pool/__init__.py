"""The parent's side of workers: processes, their channels, their supervision.

Read in this order: `jobs` (what is sent), `pool` (all workers of a model version), `member` (one worker), `backlog`
(what it has not answered), `alone` (it serves one model), `processes` (its operating-system side), `keeper` and
`supervisor` (it is started again; when is pure), `confining` (what it may do). Workers that many models share:
`shared`. The process of an app, which is no worker: `app`.
"""
