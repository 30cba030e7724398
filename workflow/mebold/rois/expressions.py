"""Regions made of others by union, intersection and difference: ``V1v | V1d | V2v``."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from mebold.errors import ConfigError

_OPERATORS = {
    ast.BitOr: np.logical_or,
    ast.BitAnd: np.logical_and,
    ast.Sub: lambda a, b: a & ~b,
}
_NODES = (ast.Name, ast.Load, ast.BinOp, *_OPERATORS)
_ACCEPTED = "names of regions, | (union), & (intersection), - (difference) and parentheses"


def parse(name: str, text: str) -> ast.expr:
    """Read an expression, which is never executed.

    Parameters
    ----------
    name : str
        Region that it defines, for the message.
    text : str
        Such as ``"(V1v | V1d) - FFA1"``. As in Python ``-`` binds closest, then ``&``, then ``|``.

    Returns
    -------
    ast.expr
        Of names and the three operators alone.

    Raises
    ------
    ConfigError
        When it holds anything else, showing what.
    """
    try:
        tree = ast.parse(str(text).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(name, text, getattr(error, "msg", None) or str(error)) from None
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            shown = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
            raise _refused(name, text, f"{shown!r} is none of these")
    return tree


def _refused(name: str, text: str, why: str) -> ConfigError:
    return ConfigError(
        f"Configuration key `rois.expressions`: {name}: {text!r} cannot be read ({why}); accepted "
        f"are {_ACCEPTED}."
    )


def names_in(tree: ast.expr) -> set[str]:
    """Return the regions that an expression is made of."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def order(expressions: Mapping[str, str]) -> list[str]:
    """Return the names of the expressions, each after those that it is made of.

    Parameters
    ----------
    expressions : mapping of str to str
        Name of a region to its expression.

    Raises
    ------
    ConfigError
        When one cannot be read or some are made of each other.
    """
    needs = {n: names_in(parse(n, text)) & set(expressions) for n, text in expressions.items()}
    ordered: list[str] = []
    while len(ordered) < len(needs):
        ready = [n for n in needs if n not in ordered and needs[n] <= set(ordered)]
        if not ready:
            circle = sorted(set(needs) - set(ordered))
            raise ConfigError(
                f"Configuration key `rois.expressions`: {', '.join(circle)} are made of each "
                "other; a region can be made of regions that do not need it."
            )
        ordered += ready
    return ordered


def unknown(expressions: Mapping[str, str], known: Iterable[str]) -> dict[str, set[str]]:
    """Return the names that each expression needs and that nothing defines.

    Parameters
    ----------
    expressions : mapping of str to str
    known : iterable of str
        Regions beside the expressions.

    Returns
    -------
    dict of str to set of str
        Expression to what it lacks, what its parts lack included; none that lacks nothing.
    """
    have, lacking = set(known), {}
    for name in order(expressions):
        needs = names_in(parse(name, expressions[name]))
        missing = needs - have - set(expressions)
        missing |= {m for n in needs & set(lacking) for m in lacking[n]}
        if missing:
            lacking[name] = missing
    return lacking


def require(expressions: Mapping[str, str], known: Collection[str], *, owner: str = "") -> None:
    """Refuse expressions of names that nothing defines.

    Parameters
    ----------
    expressions : mapping of str to str
    known : collection of str
        Regions beside the expressions.
    owner : str
        Subject, for the message.

    Raises
    ------
    ConfigError
        Showing the nearest name.
    """
    for name, missing in unknown(expressions, known).items():
        raise ConfigError(_unknown_name(name, expressions[name], missing, known, owner))


def evaluate(
    expressions: Mapping[str, str],
    regions: Mapping[str, np.ndarray],
    *,
    leave_out: bool = False,
    owner: str = "",
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Make regions of others.

    Parameters
    ----------
    expressions : mapping of str to str
        Name of a new region to its expression, which may hold other new ones.
    regions : mapping of str to bool array
        What there is, all of one shape.
    leave_out : bool
        Leave out a region whose parts are not there, instead of raising.
    owner : str
        Subject, for messages.

    Returns
    -------
    made : dict of str to bool array
    left_out : dict of str to str
        Region to the reason why it is not made.

    Raises
    ------
    ConfigError
        For a name that is not known (see `leave_out`), showing the nearest one.
    """
    if not leave_out:
        require(expressions, regions, owner=owner)
    left_out = {
        name: f"{', '.join(sorted(missing))} unknown"
        for name, missing in unknown(expressions, regions).items()
    }
    made: dict[str, np.ndarray] = {}
    for name in order(expressions):
        if name not in left_out:
            made[name] = _value(parse(name, expressions[name]), {**regions, **made})
    return made, left_out


def _value(node: ast.expr, regions: Mapping[str, np.ndarray]) -> np.ndarray:
    if isinstance(node, ast.Name):
        return np.asarray(regions[node.id], bool)
    operate = _OPERATORS[type(node.op)]
    return operate(_value(node.left, regions), _value(node.right, regions))


def _unknown_name(
    name: str, text: str, missing: set[str], regions: Collection[str], owner: str
) -> str:
    first = sorted(missing)[0]
    close = difflib.get_close_matches(first, list(regions), n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    of = f" of {owner}" if owner else ""
    return (
        f"Configuration key `rois.expressions`: {name}: {text!r} needs {first}{hint}, which is no "
        f"region{of}; there are {', '.join(sorted(regions)) or 'none'}. Give its mask, or set "
        "`rois.missing: leave_out`, which leaves such a region out of a subject."
    )
