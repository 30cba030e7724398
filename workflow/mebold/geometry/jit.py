"""Compile numeric kernels once and keep them, also where the package itself is read-only."""

import logging
from collections.abc import Callable

import numba

logger = logging.getLogger(__name__)

#: Reordering and fused multiply-add are allowed; NaN and infinity keep their meaning.
FASTMATH = frozenset({"contract", "reassoc", "nsz", "arcp", "afn"})


def inlined(function: Callable) -> Callable:
    """Compile a function that only kernels call: it becomes a part of each that does.

    Left to itself, a process that compiles a kernel runs its functions as they were compiled
    alone, and one that finds it in the cache as they were compiled inside the kernel: sums differ
    in the last digits, and so did two runs from nothing, of which only the first compiles.
    """
    return kernel(function, forceinline=True)


def kernel(function: Callable, **more: bool) -> Callable:
    """Compile a function with numba, without the GIL, cached on disk where that is possible.

    numba keeps its cache in ``NUMBA_CACHE_DIR``, beside the source, or in the user's cache
    directory. Where none of them can be written the kernel is compiled in every process.

    Parameters
    ----------
    function : callable
        A function in numba's nopython subset.
    **more
        Further options of numba.

    Returns
    -------
    callable
        The lazily compiled function.
    """
    options = {"nogil": True, "fastmath": set(FASTMATH), "error_model": "numpy", **more}
    try:
        return numba.njit(cache=True, **options)(function)
    except (RuntimeError, OSError) as error:
        logger.debug("no cache for kernel %s: %s", function.__name__, error)
        return numba.njit(**options)(function)
