"""The words that every part of Shoal speaks: types, errors, ports, settings, wire formats, messages. No I/O in here."""
