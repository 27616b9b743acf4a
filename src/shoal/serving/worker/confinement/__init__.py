"""A worker gives up what it does not need, before any code of a model runs in it.

Read in this order: `applying` (where the plan comes from, what is done, and in which order), `files` (what a worker
needs to read), then one module for each means: `limits`, `privileges`, `landlock`, `seccomp`.
`kernel` makes the calls that Python has no name for; `probing` says what this machine has.

What a process has given up it cannot get back, and neither can what it starts.
"""
