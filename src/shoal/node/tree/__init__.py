"""The process above the parts of a split node: it starts them, and starts again what dies.

tree    all of them, in the order of their start and their end
plan    which there are, and with what settings
kept    one of them, kept running
child   one run of it
beating how it shows that it turns
"""
