"""What runs again, and what does not: nothing twice, and just the jobs whose code changed."""

import shutil

import pytest
from bids_trees import Tree
from snakemake_runner import REPOSITORY, job_counts, snakemake

pytestmark = pytest.mark.workflow


@pytest.fixture
def checkout(tmp_path):
    """Copy what the workflow is made of, so that a module can be edited."""
    copy = tmp_path / "checkout"
    for name in ("workflow", "config", "envs", "profiles"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, copy / name, ignore=ignored)
    shutil.copy(REPOSITORY / "Snakefile", copy / "Snakefile")
    Tree(tmp_path / "raw", filled=True).session("01", "01")
    return copy


def run(checkout, *arguments):
    return snakemake(
        *arguments, cwd=checkout.parent, repository=checkout, bids_dir="raw", output_dir="out"
    )


def test_edit_of_a_module_reruns_the_jobs_that_use_it(checkout):
    first = run(checkout, "--cores", "1", "plan", "datasets")
    assert first.returncode == 0, first.stdout[-3000:]
    assert job_counts(first.stdout) == {"plan": 1, "datasets": 1, "total": 2}

    again = run(checkout, "--cores", "1", "plan", "datasets")
    assert "Nothing to be done" in again.stdout

    module = checkout / "workflow/mebold/files/datasets.py"
    module.write_text(module.read_text() + "\n# a comment is a change of the code\n")
    edited = run(checkout, "-n", "plan", "datasets")
    assert job_counts(edited.stdout) == {"datasets": 1, "total": 1}
    assert "Changed: code of inventory_datasets" in edited.stdout


def test_dates_of_the_code_do_not_count_but_its_content_does(checkout):
    assert run(checkout, "--cores", "1", "plan", "datasets").returncode == 0
    for path in (checkout / "workflow").rglob("*.py"):
        path.touch()  # as a fresh clone, or a change of branches and back
    assert "Nothing to be done" in run(checkout, "-n", "plan", "datasets").stdout

    script = checkout / "workflow/scripts/inventory_datasets.py"
    script.write_text(script.read_text() + "\n# a comment is a change of the code\n")
    edited = run(checkout, "-n", "plan", "datasets")
    assert job_counts(edited.stdout) == {"datasets": 1, "total": 1}


def test_new_session_is_noticed_and_the_old_one_kept(checkout):
    before = run(checkout, "-n")
    Tree(checkout.parent / "raw", filled=True).session("01", "02")
    after = run(checkout, "-n")
    assert job_counts(before.stdout)["hmc"] == 2
    assert job_counts(after.stdout)["hmc"] == 4


def test_the_spelling_of_the_data_folder_and_the_place_of_the_call_rerun_nothing(checkout):
    folder, code = checkout.parent, {"repository": checkout}
    first = run(checkout, "--cores", "1", "plan", "datasets")
    assert first.returncode == 0, first.stdout[-3000:]
    for spelt in (str(folder / "raw"), "./raw", "out/../raw"):
        again = snakemake(
            "-n", "plan", "datasets", cwd=folder, bids_dir=spelt, output_dir="out", **code
        )
        assert "Nothing to be done" in again.stdout, spelt
    (folder / "elsewhere").mkdir()
    again = snakemake(
        "-n", "plan", "datasets", cwd=folder / "elsewhere",
        bids_dir="../raw", output_dir="../out", **code,
    )  # fmt: skip
    assert "Nothing to be done" in again.stdout


def test_no_input_of_any_job_depends_on_the_spelling_of_the_data_folder(checkout):
    raw = checkout.parent / "raw"
    inputs = []
    for spelt in ("raw", str(raw)):
        done = snakemake("-n", cwd=checkout.parent, repository=checkout, bids_dir=spelt,
                         output_dir="out")  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:]
        lines = [line.strip() for line in done.stdout.splitlines()]
        inputs.append(sorted(line for line in lines if line.startswith("input:")))
    assert inputs[0] == inputs[1]
    assert any(str(raw) in line for line in inputs[0])
