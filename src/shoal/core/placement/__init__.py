"""Where things go and how many there are, as pure functions: no I/O, no clock of their own, no chance.

Control uses them for machines, a serving node for its workers, cards and models. Read in this order: `rendezvous` (who
owns a key), `sharding` (which few hosts a tenant may use), `devices` (which card), `machines` (which machine),
`scaling` (how many workers), `residents` and `residency` (what a shared worker keeps in memory).
"""
