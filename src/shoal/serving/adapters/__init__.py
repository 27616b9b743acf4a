"""What a worker runs: the contract (`base`), the user's class (`model`), one file per framework, and the catalogue."""
