"""Puts requests of one model version together, and sees to it that each gets exactly one answer.

Read in this order: `batcher` (the loop), `waiting` (the queue), `policy` and `sizing` (pure decisions), `quarantine`
and `poison` (what happens to requests whose worker died), `runner` (batcher and pool as one).
"""
