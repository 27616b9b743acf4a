"""The models in folders, and how they change: what `shoal serve DIR` and `--watch` stand on.

scanning    paths -> specs and problems; nothing is loaded
watching    two scans -> what was added, changed, removed
"""

from shoal.control.scanning import Problem, Scan, read_model, scan
from shoal.control.watching import Diff, Watcher, diff, watch

__all__ = ["Diff", "Problem", "Scan", "Watcher", "diff", "read_model", "scan", "watch"]
