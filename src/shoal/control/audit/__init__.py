"""The audit log: one record for each change and each denied attempt, chained by hashes.

    chain     what a record's hash is, and the first record of a log that is not what it was; pure
    denials   records of what somebody wanted and may not, bounded in number
    reported  the same of what nodes have denied at their data ports

The records are the registry's events: a change and its record are one transaction (see `registry.part`).
"""
