"""Fetches from web addresses that somebody else has named: one checked function for all of them.

    urls         an address is parsed once, and only if everybody would read it the same way
    addresses    which IP addresses are public (pure)
    policy       `Allow`: which schemes, hosts and networks may be asked, and how much of what
    connecting   a connection to an address that was checked, with one end for all its waiting
    fetching     `fetch`: resolve, check, connect, follow, bound

Whoever can make a server fetch can otherwise make it read what only the server may see: cloud metadata, the control
port, neighbours. So the name is resolved once, *every* address that it has is checked, the connection is made to one of
those, and each redirect starts again from the beginning. What operators write into settings (the URL of control, of a
database, of an object store) is theirs, and does not come here.
"""
