"""What Snakemake asks again for every job and what does not change: it is answered once."""

from functools import cache
from inspect import signature

import smart_open
from snakemake.common import overwrite_function_params
from snakemake.resources import Resource


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
                overwrite_function_params(function, function.__signature__.parameters)
    # What evaluates each resource of each job is a method, asked without its `self`.
    asked = dict(signature(Resource.evaluate).parameters)
    asked.pop("self")
    overwrite_function_params(Resource.evaluate, asked)
    # Where the copy of a script lies is asked three times per job. The address is parsed each time, and what
    # comes of it has a class of its own: a tenth of the time of a dry-run.
    smart_open.parse_uri = cache(smart_open.parse_uri)
