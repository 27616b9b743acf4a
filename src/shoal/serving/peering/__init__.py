"""What all processes of Shoal that speak with each other have in common, whatever they say.

directory    where the others can be reached
listening    a place where they can reach us: a Unix socket of this machine, or TCP with mutual TLS
kept         our end of a connection that is made again when it breaks
course       its stages
pulse        whether the other end was heard of lately
connection   one end of it: messages in, messages out
"""
