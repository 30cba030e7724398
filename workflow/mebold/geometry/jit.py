"""Compile numeric kernels once and keep them, also where the package itself is read-only."""

import logging
from collections.abc import Callable

import numba

logger = logging.getLogger(__name__)

#: Reordering and fused multiply-add are allowed; NaN and infinity keep their meaning.
FASTMATH = frozenset({"contract", "reassoc", "nsz", "arcp", "afn"})


def kernel(function: Callable) -> Callable:
    """Compile a function with numba, without the GIL, cached on disk where that is possible.

    numba keeps its cache in ``NUMBA_CACHE_DIR``, beside the source, or in the user's cache
    directory. Where none of them can be written the kernel is compiled in every process.

    Parameters
    ----------
    function : callable
        A function in numba's nopython subset.

    Returns
    -------
    callable
        The lazily compiled function.
    """
    options = {"nogil": True, "fastmath": set(FASTMATH), "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except (RuntimeError, OSError) as error:
        logger.debug("no cache for kernel %s: %s", function.__name__, error)
        return numba.njit(**options)(function)
