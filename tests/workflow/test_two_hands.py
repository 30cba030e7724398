"""Two calls on one output folder: neither changes what the jobs of the other read."""

import json
import socket

import pytest
from bids_trees import Tree
from snakemake_runner import snakemake

pytestmark = pytest.mark.workflow


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path / "raw", filled=True)
    for subject in ("01", "02"):
        tree.session(subject, "01")
    return tree


def run(tmp_path, *arguments, **config):
    return snakemake(*arguments, cwd=tmp_path, bids_dir="raw", output_dir="out", **config)


def tables(tmp_path):
    return sorted((tmp_path / "out/work/tables").glob("runs_*.tsv"))


def test_a_selection_has_a_table_of_its_own(tree, tmp_path):
    assert run(tmp_path, "--cores", "1", "datasets").returncode == 0
    (whole,) = tables(tmp_path)
    before = whole.read_bytes()
    assert run(tmp_path, "-n", participant_label="02").returncode == 0
    assert tables(tmp_path) == [whole]  # a dry-run writes none
    forced = ("datasets", "--cores", "1", "--forcerun", "datasets")
    one = run(tmp_path, *forced, participant_label="02")
    assert one.returncode == 0, one.stdout[-2000:]
    assert len(tables(tmp_path)) == 2
    assert whole.read_bytes() == before


def test_an_output_folder_in_use_is_refused(tree, tmp_path):
    lock = tmp_path / "out/work/.lock.json"
    lock.parent.mkdir(parents=True)
    held = {"Host": "node17", "Process": 4711, "Started": "1", "Since": "2026-11-22T10:00:00+00:00"}
    lock.write_text(json.dumps(held))
    assert run(tmp_path, "-n").returncode == 0  # looking is allowed
    done = run(tmp_path, "--cores", "1", "datasets")
    assert done.returncode == 1
    for words in ("process 4711 on node17", "2026-11-22T10:00:00", "remove", ".lock.json"):
        assert words in done.stdout
    assert json.loads(lock.read_text()) == held
    assert not (tmp_path / "out/anatomical").exists()
    # A process of this host that was killed: its lock is taken over, and given back in the end.
    lock.write_text(json.dumps(held | {"Host": socket.gethostname(), "Process": 2**22 + 1}))
    done = run(tmp_path, "--cores", "1", "datasets")
    assert done.returncode == 0, done.stdout[-2000:]
    assert not lock.exists()
