"""Snakemake asks twice per job for the signature of a function: one that it has is not made again."""

from inspect import signature


def function_of(given):
    """Function that Snakemake holds for an input, a parameter or a resource, or None."""
    for name in ("_file", "_evaluator", "callable"):
        given = getattr(given, name, None) or given
    return given if callable(given) else None


if workflow.is_main_process:
    for made in workflow.modifier.rules:
        for given in (*made.input, *made.params, *made.resources.values()):
            if function := function_of(given):
                function.__signature__ = signature(function)
