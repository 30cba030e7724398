"""One bad scan is left out with its finding; the rest stays."""

import functools
import json

import pytest
from bids_trees import SHAPE, Tree
from effort import lines_run

from mebold.errors import ConfigError, MetadataError
from mebold.inventory.index import index
from mebold.inventory.left_out import examine

RUN = "sub-01_ses-01_task-images_run-01"


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path, filled=True)
    for subject in ("01", "02"):
        tree.session(subject, "01")
    return tree


def left(tree, **options):
    """Return the names that are left out and the stems of the runs that remain."""
    examined = examine(index(tree.root), **options)
    stems = {s for s in examined.table["stem"] if "task" in s}
    return {item.name: item.reason for item in examined.left_out}, stems


def test_nothing_is_left_out_of_sound_data(tree):
    assert left(tree)[0] == {}


def test_a_run_with_a_shorter_echo_goes_alone(tree):
    name = f"sub-01/ses-01/func/{RUN}_echo-2_part-mag_bold.nii.gz"
    tree.image(name, shape=(*SHAPE[:3], 7))
    names, stems = left(tree)
    assert list(names) == [RUN]
    assert "shape" in names[RUN]
    assert "7" in names[RUN]
    assert len(stems) == 3
    with pytest.raises(MetadataError, match="1 problem"):
        left(tree, strict=True)


def test_a_damaged_sidecar_is_a_finding_of_its_run(tree):
    tree.text(f"sub-01/ses-01/func/{RUN}_echo-2_part-mag_bold.json", "{")
    names, stems = left(tree)
    assert "no valid JSON" in names[RUN]
    assert len(stems) == 3


def test_a_sidecar_with_words_for_numbers(tree):
    path = tree.path(f"sub-01/ses-01/func/{RUN}_echo-2_part-mag_bold.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"EchoTime": "long"}))
    assert "EchoTime is 'long'" in left(tree)[0][RUN]


def test_a_defective_fieldmap_leaves_out_the_runs_that_it_corrects(tree):
    tree.phasediff("sub-01_ses-01", "sub-01/ses-01/fmap", EchoTime1=0.006, EchoTime2=0.005)
    names, stems = left(tree)
    assert "not two ascending echo times" in names[RUN]
    assert stems == {f"sub-02_ses-01_task-images_run-0{run}" for run in (1, 2)}


def test_a_damaged_t1w_leaves_the_subject_out_unless_there_is_another(tree):
    tree.text("sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz", "no image")
    names, stems = left(tree)
    assert "no readable NIfTI" in names["sub-01"]
    assert all(stem.startswith("sub-02") for stem in stems)
    tree.image("sub-01/ses-01/anat/sub-01_ses-01_run-2_T1w.nii.gz", {})
    names, stems = left(tree)
    assert list(names) == ["sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz"]
    assert len(stems) == 4


def test_unreadable_events_keep_the_run(tree):
    tree.text(f"sub-01/ses-01/func/{RUN}_events.tsv", "trial\n1\n")
    assert left(tree)[0] == {}
    with pytest.raises(MetadataError, match="no column 'onset'"):
        left(tree, strict=True)


@pytest.mark.parametrize(
    ("entry", "n_runs"),
    [("sub-01", 2), ("sub-01_ses-01", 2), ("sub-01/ses-01", 2), ("run-02", 2), (RUN, 3)],
)
def test_what_is_excluded(tree, entry, n_runs):
    names, stems = left(tree, exclude=[entry])
    assert len(stems) == n_runs
    assert set(names.values()) == {f"excluded by `exclude: {entry}`"}
    assert examine(index(tree.root), exclude=[entry]).defects == []


def test_an_excluded_fieldmap_corrects_nothing(tree):
    table = examine(index(tree.root), exclude=["sub-01_phasediff"]).table
    fields = table[table["suffix"] == "bold"].groupby("subject")["fieldmap"].first()
    assert fields["01"] == "n/a"
    assert fields["02"] == "phasediff"


@pytest.mark.parametrize("entry", ["sub-03", "subject-01", "sub-"])
def test_an_exclusion_that_means_nothing_is_refused(tree, entry):
    with pytest.raises(ConfigError, match="`exclude`"):
        left(tree, exclude=[entry])


def test_an_exclusion_outside_of_a_selection_is_no_error(tree):
    assert left(tree, exclude=["sub-03"], selected=True)[0] == {}


def test_nothing_left_says_why(tree):
    with pytest.raises(MetadataError, match="Nothing is left to be done") as caught:
        left(tree, exclude=["ses-01"])
    assert "run-01: excluded by `exclude: ses-01`" in str(caught.value)


def test_images_that_were_not_fetched_are_defects_of_a_run_only(tree):
    path = tree.path(f"sub-01/ses-01/func/{RUN}_echo-2_part-mag_bold.nii.gz")
    path.unlink()
    path.symlink_to("../../../.git/annex/objects/none")
    assert RUN not in left(tree)[0]
    assert "no content (a link to what was not fetched)" in left(tree, contents=True)[0][RUN]


def test_the_work_grows_as_the_number_of_defects_does(tmp_path):
    """Of a dataset that was not fetched every run is one."""
    work = []
    for n in (10, 30):
        tree = Tree(tmp_path / str(n))
        for session in range(1, n + 1):
            tree.session("01", f"{session:02d}")
        table = index(tree.root)  # of files without content
        refused = functools.partial(pytest.raises, MetadataError, examine, table, contents=True)
        work.append(lines_run(refused))
    assert work[1] < 3.3 * work[0]
