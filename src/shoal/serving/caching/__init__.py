"""The prediction cache of a service, for those that ask for one: between the gateway and the batcher.

Read in this order: `dispatch` (what happens with a call), `keys` (which calls ask for the same), `answers` (one answer,
many ids), `store` (what is kept, and for how long), `eligible` (which models may have a cache at all).
"""
