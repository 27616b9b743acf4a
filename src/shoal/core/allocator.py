"""How the C library's allocator treats large blocks that were freed.

By default glibc gives every freed block of more than 128 KiB, and the free end of the heap, back to the system at once,
only to fault the same pages in again for the next body: for a 600 KB request three quarters of the CPU time went there.
A process that handles such bodies all day keeps a bounded amount instead.
"""

from __future__ import annotations

import ctypes

KEEP_BYTES = 16 * 1024 * 1024

_M_ARENA_MAX = -8  # of <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep_freed_memory(most: int = KEEP_BYTES) -> bool:
    """Keep up to `most` bytes of freed memory for the next request; call it once, early.

    Returns:
        Whether the C library knows the setting (glibc does; elsewhere nothing is changed).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, most)) and bool(mallopt(_M_TRIM_THRESHOLD, most))


def use_one_arena() -> bool:
    """Let all threads share one heap, so that what one of them frees another can use; call it before they start."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_ARENA_MAX, 1))


def give_back() -> bool:
    """Give freed memory back to the system, whatever was said about keeping it.

    Returns:
        Whether any was (always False where the C library is not glibc).
    """
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):
        return False
