"""The configuration files that come along: defaults, the demo's, and the ready-made examples."""

import pytest
import yaml
from bids_trees import SHAPE, Tree
from configured import SCHEMAS, completed
from snakemake_runner import REPOSITORY, job_counts, snakemake

pytestmark = pytest.mark.workflow

CONFIG = REPOSITORY / "config"
EXAMPLES = ["anatomy_only", "laion_like", "laion_regions", "quick_comparison", "single_echo_3t"]
#: An example that is given beside another one.
BESIDE = {"laion_regions": "laion_like"}
LONG = (*SHAPE[:3], 160)


def defaults_beside(given, schema, where=""):
    """Yield the keys whose value is not the default of the schema."""
    for key, value in given.items():
        rule = schema["properties"][key]
        if isinstance(value, dict):
            yield from defaults_beside(value, rule, f"{where}{key}.")
        elif value != rule.get("default", "required"):
            yield f"{where}{key}"


def test_the_file_of_every_run_holds_defaults_only():
    schema = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text())
    given = yaml.safe_load((CONFIG / "config.yaml").read_text())
    assert list(defaults_beside(given, schema)) == []
    paths = {"bids_dir": "raw", "output_dir": "out"}
    assert completed(given | paths) == completed(paths)


def test_without_paths_one_sentence_says_what_is_missing(tmp_path):
    done = snakemake("-n", cwd=tmp_path)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert "The configuration lacks a key: 'bids_dir'" in done.stdout


def tree_of(name, root):
    """Write a tree of the kind that an example is for."""
    tree = Tree(root)
    if name == "anatomy_only":
        tree.image("sub-01/anat/sub-01_T1w.nii.gz", {})
        tree.image("sub-02/anat/sub-02_T1w.nii.gz", {})
    elif name == "single_echo_3t":
        stem = "sub-01_task-emomatching_acq-seq"
        tree.image("sub-01/anat/sub-01_T1w.nii.gz", {})
        tree.run(stem, echoes={None: 0.028}, parts=("",), shape=LONG, RepetitionTime=2.0)
        labels = ["emotion", "control", "emotion", "control"]
        tree.events(f"sub-01/func/{stem}_events.tsv", labels, column="trial_type")
    else:
        for session in ("01", "02"):
            tree.session("01", session, shape=LONG)
    if name == "laion_regions":
        localizers(tree)
    return tree


def localizers(tree):
    """Add a run of each localizer of the reference dataset, and masks."""
    shown = {
        "floc": "adult child body limb corridor house word number car instrument scrambled",
        "MotionLoc": "motion static",
    }
    for task, labels in shown.items():
        stem = f"sub-01_ses-01_task-{task}_run-01"
        tree.run(stem, "sub-01/ses-01/func", shape=LONG)
        path = f"sub-01/ses-01/func/{stem}_events.tsv"
        tree.events(path, [*labels.split(), "blank"], column="trial_type")
    for name in ("derivatives/rois/sub-01/retinotopy/V1v", "parcels/sub-01/parcelFFA1"):
        path = tree.root.parent / f"{name}.nii.gz"
        path.parent.mkdir(parents=True)
        path.touch()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_ready_for_its_data(name, tmp_path):
    tree_of(name, tmp_path / "raw")
    files = [BESIDE[name], name] if name in BESIDE else [name]
    done = snakemake(
        "-n", "--configfile", *(str(CONFIG / "examples" / f"{one}.yaml") for one in files),
        cwd=tmp_path, bids_dir="raw", output_dir="out",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    counts = job_counts(done.stdout)
    expected = {
        "laion_like": {"singletrial": 7, "noiseceiling_subject": 1, "compare_task": 1},
        "laion_regions": {
            "singletrial": 7,
            "localizer_glm": 2,
            "localizer_maps": 2,
            "roi_masks": 1,
            "bold_optcom": 6,
            "compare_task": 1,
        },
        "single_echo_3t": {"singletrial": 1, "bold_single": 1, "confounds": 1},
        "anatomy_only": {"anat": 2, "hmc": 0, "singletrial": 0},
        "quick_comparison": {"singletrial": 4, "compare_task": 1, "ica": 0},
    }[name]
    assert {rule: counts.get(rule, 0) for rule in expected} == expected


def test_every_user_has_an_example():
    assert sorted(path.stem for path in (CONFIG / "examples").glob("*.yaml")) == EXAMPLES
