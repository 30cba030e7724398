"""A changed key runs just the jobs that use it: the table, and samples of it in dry-runs."""

import json

import jobs_of_keys
import pytest

pytestmark = pytest.mark.workflow

TRIED = [key for key, _ in jobs_of_keys.all_keys() if key not in jobs_of_keys.NOT_TRIED]


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Return the finished output that the table is about."""
    return jobs_of_keys.chain_of_table(tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def table():
    return jobs_of_keys.read()


def rules(row: dict[str, str]) -> list[str]:
    return [] if row["rules"] == "none" else row["rules"].split(", ")


def test_every_key_has_its_row_and_the_value_that_was_tried(table):
    assert list(table) == [key for key, _ in jobs_of_keys.all_keys()]
    for key, rule in jobs_of_keys.all_keys():
        if key in jobs_of_keys.NOT_TRIED:
            assert table[key]["rules"].startswith("not tried: "), key
        else:
            assert table[key]["value"] == jobs_of_keys.as_text(
                jobs_of_keys.other_value(key, rule)
            ), key


@pytest.mark.parametrize("key", TRIED[::9])
def test_a_changed_key_runs_what_the_table_says(chain, table, key):
    value = jobs_of_keys.other_value(key, dict(jobs_of_keys.all_keys())[key])
    assert jobs_of_keys.jobs(chain, key, value) == rules(table[key])


def test_no_job_has_a_key_that_the_table_lacks(chain, table):
    used = {}
    for record in (chain.place / "out/provenance").rglob("*.json"):
        for key in json.loads(record.read_text()).get("Settings", {}).values():
            used.setdefault(key, set()).add(record.relative_to(chain.place).parts[2])
    assert len(used) > 80
    # `bids_dir` is a parameter of `datasets`; values of dictionaries belong to their key.
    of_table = {key: set(rules(row)) for key, row in table.items() if row["value"]}
    missing = {
        (key, rule) for key, found in used.items() for rule in found - of_table.get(key, found)
    }
    assert not missing
