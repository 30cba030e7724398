"""Two calls on one output folder, restricted calls, and what a call says when jobs failed."""

import json
import re
import socket

import pandas as pd
import pytest
from bids_trees import Tree
from snakemake_runner import snakemake

from mebold.compare import tables as columns
from mebold.files.tables import read_tsv, write_tsv

pytestmark = pytest.mark.workflow


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path / "raw", filled=True)
    for subject in ("01", "02"):
        tree.session(subject, "01")
        for number in ("01", "02"):
            stem = f"sub-{subject}_ses-01_task-images_run-{number}"
            tree.events(f"sub-{subject}/ses-01/func/{stem}_events.tsv", ["a", "b"])
    return tree


def run(tmp_path, *arguments, **config):
    config["design"] = "{minimum_tail_s: 0, minimum_volumes: 6}"
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


def test_a_job_that_was_killed_is_done_again_whatever_it_had_written(tree, tmp_path):
    """Only the file that nobody asks for is missing: Snakemake alone would do nothing."""
    target, other = tmp_path / "out/plan.tsv", tmp_path / "out/plan.txt"
    assert run(tmp_path, "out/plan.tsv", "--cores", "1").returncode == 0
    other.unlink()
    assert "Nothing to be done" in run(tmp_path, "out/plan.tsv", "--cores", "1").stdout
    claim = tmp_path / "out/work/.jobs/0123456789abcdef.json"
    about = {"Host": socket.gethostname(), "Process": 2**22 + 1, "Started": "1", "Job": "rule plan"}
    claim.write_text(json.dumps(about | {"Outputs": [str(target), str(other)]}))
    assert run(tmp_path, "-n", "out/plan.tsv").returncode == 0
    assert target.exists()  # looking changes nothing
    done = run(tmp_path, "out/plan.tsv", "--cores", "1")
    assert done.returncode == 0, done.stdout[-2000:]
    assert target.exists()
    assert other.exists()
    assert not claim.exists()


def test_a_restricted_call_keeps_the_plan_of_the_others(tree, tmp_path):
    assert run(tmp_path, "plan", "--cores", "1").returncode == 0
    before = read_tsv(tmp_path / "out/plan.tsv")
    done = run(tmp_path, "plan", "--cores", "1", participant_label="02")
    assert done.returncode == 0, done.stdout[-2000:]
    after, keys = read_tsv(tmp_path / "out/plan.tsv"), ["subject", "stem", "stage"]
    before, after = (p.sort_values(keys, ignore_index=True) for p in (before, after))
    pd.testing.assert_frame_equal(after, before)
    assert set(before["subject"]) == {"01", "02"}
    text = (tmp_path / "out/plan.txt").read_text()
    assert "sub-01: anatomy" in text
    assert "sub-02: anatomy" in text


def test_a_restricted_call_compares_with_the_subjects_that_are_done(tree, tmp_path):
    paths = {}
    for subject in ("01", "02"):
        head = {"subject": subject, "session": "01", "task": "images", "acquisition": "n/a"}
        names = {"metrics": columns.LONG_COLUMNS, "differences": columns.PAIRED_COLUMNS}
        for kind, wanted in names.items():
            rows = [
                head
                | {"variant": v, "reference": "standardSingle", "metric": "dprime", "unit": "1"}
                for v in ("standardSingle", "nordicOptcom")
            ]
            stem = f"sub-{subject}_ses-01_task-images_desc-variants_{kind}.tsv"
            path = tmp_path / f"out/comparison/sub-{subject}/ses-01/func" / stem
            path.parent.mkdir(parents=True, exist_ok=True)
            table = pd.DataFrame(rows).reindex(columns=wanted)
            numbers = [name for name in wanted if name in ("value", "difference")]
            write_tsv(path, table.assign(**dict.fromkeys(numbers, 1.0)))
            paths[subject, kind] = path
    target = "out/comparison/desc-variants_metrics.tsv"
    only = (target, "--cores", "1", "--allowed-rules", "compare_group")
    for labels in ({"participant_label": "02"}, {}):
        done = run(tmp_path, *only, **labels)
        assert done.returncode == 0, done.stdout[-2000:]
        assert set(read_tsv(tmp_path / target)["subject"]) == {"01", "02"}
    # A call for all counts just what the dataset has.
    strange = paths["02", "metrics"].parents[3] / "sub-99/ses-01/func"
    strange.mkdir(parents=True)
    for (subject, _), path in paths.items():
        if subject == "02":
            name = path.name.replace("sub-02", "sub-99")
            (strange / name).write_text(path.read_text().replace("02\t", "99\t"))
    assert "Nothing to be done" in run(tmp_path, *only).stdout


def test_the_last_lines_name_each_failed_job_and_its_log(tree, tmp_path):
    """T1w images of a few voxels hold no brain: both subjects fail, and the second is tried."""
    done = run(tmp_path, "--cores", "1", "anatomy")
    assert done.returncode == 1
    end = done.stdout[done.stdout.index("2 jobs failed") :]
    for subject in ("01", "02"):
        log = f"out/work/logs/anat/sub-{subject}.log"
        assert f"- anat: see {log}" in end
        assert f"begins: anat of sub-{subject}\n" in done.stdout
        assert f"FAILED: anat of sub-{subject}; log: {log}\n" in done.stdout
        assert (tmp_path / log).read_text()
    assert "The same call again goes on from here" in end
    assert not re.search(r"jobid|^ +input:", done.stdout, re.M)  # names, and not numbers
    assert not (tmp_path / "out/work/.lock.json").exists()
