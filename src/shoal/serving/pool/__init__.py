"""The parent's side of workers: processes, their channels, their supervision.

Read in this order: `jobs` (what is sent), `pool` (all workers of a model version), `member` (one worker), `process`
and `channel` (its operating-system side), `supervisor` (pure: when to start it again).
"""
