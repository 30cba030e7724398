"""Which noise ceilings a design allows."""

from types import SimpleNamespace

import pytest

from mebold.jobs.products import Products

CONFIG = {
    "noise_ceiling": {"groups": {"4rep": 4, "2rep": 2}},
    "design": {"label_column": "stim_name", "blank": {}},
}


def run(stem, images):
    columns = {"onset": [str(4.0 * n) for n in range(len(images))], "stim_name": list(images)}
    columns["duration"] = ["1"] * len(images)
    first = {"events_trials": columns, "n_volumes": None, "repetition_time": 2.0}
    return SimpleNamespace(stem=stem, first=first)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("abab", "abba", ["4rep", "DifferentRuns"]),
        ("abab", "cdcd", ["2rep"]),
        ("abcd", "abef", ["2rep", "DifferentRuns"]),
        ("abc", "def", []),
    ],
)
def test_only_ceilings_that_images_enter_are_asked_for(first, second, expected):
    runs = {"r1": run("r1", first), "r2": run("r2", second)}
    index = SimpleNamespace(
        config=CONFIG,
        runs=runs,
        intervals=dict.fromkeys(runs, 2.0),
        glm_stems=lambda _: list(runs),
        stages=lambda _: set(),
    )
    assert Products(index).ceilings(["g"]) == expected
    runs["r2"].first["events_trials"] = None
    assert Products(index).ceilings(["g"]) == ["4rep", "2rep", "DifferentRuns"]
