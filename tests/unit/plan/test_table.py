"""The plan: every rule of a reduced plan with its reason, on tables made from one sound session."""

import copy

import pytest
from bids_trees import SHAPE, Tree
from effort import lines_run

from mebold.errors import MetadataError
from mebold.inventory import checks, index
from mebold.inventory.fieldmaps import OTHERS_ONLY
from mebold.inventory.table import frame, records
from mebold.plan.references import References
from mebold.plan.stages import GROUP_STAGES, RUN_STAGES, STAGES
from mebold.plan.table import make_plan
from mebold.plan.text import format_plan, notices

CONFIG = {
    "variants": ["standardSingle", "standardOptcom", "standardIca",
                 "nordicSingle", "nordicOptcom", "nordicIca"],
    "compare_sessions": "first",
    "design": {"label_column": "stim_name", "blank": {"trial_type": ["blank"]},
               "minimum_volumes": 8},
    "output": {"repetition_time_s": 1.0},
}  # fmt: skip
DYNAMIC = CONFIG | {"sdc": "dynamic"}
WARPED = CONFIG | {"gradient_nonlinearity": {"warp": "coil.nii.gz"}}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    tree = Tree(tmp_path_factory.mktemp("bids"))
    tree.session("01", "01", suffixes=("bold", "sbref"), shape=SHAPE)
    return records(index.index(tree.root))


@pytest.fixture
def rows(sound):
    """Return the rows of a sound session, free to be changed."""
    return copy.deepcopy(sound)


def pick(rows, *words):
    return [row for row in rows if all(word in row["path"] for word in words)]


def decide(rows, stage, *, stem=None, config=CONFIG):
    """Return (planned, reason) of a stage; all rows of the stage must agree without a stem."""
    plan = make_plan(frame(rows), config=config)
    found = {
        (row["planned"], row["reason"])
        for row in plan.to_dict("records")
        if row["stage"] == stage and stem in (None, row["stem"])
    }
    assert len(found) == 1, found
    return found.pop()


def test_everything_is_planned_for_a_complete_session(rows):
    plan = make_plan(frame(rows), config=CONFIG)
    assert plan["planned"].all()
    assert list(dict.fromkeys(plan["stage"])) == list(STAGES)
    assert list(plan.columns) == ["subject", "session", "task", "run", "stem", "group", "stage",
                                  "planned", "reason", "echoes"]  # fmt: skip


def test_rows_are_per_subject_run_and_group(rows):
    plan = make_plan(frame(rows), config=CONFIG)
    stems = {stage: list(plan.loc[plan["stage"] == stage, "stem"]) for stage in STAGES}
    group = "sub-01_ses-01_task-images"
    assert stems["anat"] == ["sub-01"]
    assert all(stems[stage] == [f"{group}_run-01", f"{group}_run-02"] for stage in RUN_STAGES)
    assert all(stems[stage] == [group] for stage in GROUP_STAGES)
    run = plan.loc[plan["stage"] == "hmc"].iloc[0]
    assert (run["subject"], run["session"], run["task"], run["run"]) == (
        "01", "01", "images", "01")  # fmt: skip
    assert run["echoes"] == 3


def test_one_echo_has_nothing_to_combine(rows):
    rows = [row for row in rows if row["echo"] in (None, "2")]
    assert decide(rows, "optcom") == (False, "one echo: nothing to combine")
    assert decide(rows, "ica")[0] is False
    assert decide(rows, "resample")[0] is True
    assert decide(rows, "compare") == (True, "standardSingle, nordicSingle")


def test_two_echoes_are_refused_and_the_second_is_used(rows):
    rows = [row for row in rows if row["echo"] != "3"]
    planned, reason = decide(rows, "optcom")
    assert not planned
    assert "2 echoes: combination refused" in reason
    assert "middle (second) echo is used" in reason


def test_no_phase_means_magnitude_nordic_and_says_so(rows):
    rows = [row for row in rows if row["component"] != "phase"]
    assert decide(rows, "nordic") == (True, "magnitude only: no phase images")


def test_noise_scans_and_a_noise_map_are_said(rows):
    rows += [row | {"suffix": "noRF"} for row in copy.deepcopy(pick(rows, "_bold"))]
    assert decide(rows, "nordic") == (True, "noise level from noRF images")
    config = CONFIG | {"nordic": {"noise_map": "{stem}.nii"}}
    both = "noise level from noRF images; noise map of `nordic.noise_map`"
    assert decide(rows, "nordic", config=config) == (True, both)


def test_five_volumes_are_too_few_for_nordic(rows):
    for row in rows:
        row["n_volumes"] = 5
    assert decide(rows, "nordic") == (False, "5 volumes, fewer than 6")


def test_unknown_numbers_of_volumes_do_not_stop_a_dry_run(rows):
    for row in rows:
        row |= {"n_volumes": None, "shape": None, "image_state": "empty"}
    assert make_plan(frame(rows), config=CONFIG)["planned"].all()


def test_no_events_end_after_preprocessing(rows):
    for row in rows:
        row |= {"events": None, "n_events": None, "events_columns": None, "events_repeats": None}
    assert decide(rows, "singletrial") == (False, "no events")
    assert decide(rows, "confounds")[0] is True
    for stage in GROUP_STAGES:
        assert decide(rows, stage) == (False, "no run enters a single-trial fit")


def test_events_without_trials(rows):
    for row in rows:
        row["n_events"] = 0
    assert decide(rows, "singletrial") == (False, "events without trials")


def test_short_runs_are_left_out_of_the_fit(rows):
    for row in pick(rows, "run-02", "_bold"):
        row["n_volumes"] = 7
    decision = decide(rows, "singletrial", stem="sub-01_ses-01_task-images_run-02")
    assert decision == (False, "7 volumes acquired, fewer than 8 (`design.minimum_volumes`)")
    assert decide(rows, "singletrial", stem="sub-01_ses-01_task-images_run-01")[0] is True


def test_a_changing_field_is_a_stage_where_it_is_asked_for(rows):
    assert "sdc_dynamic" not in set(
        make_plan(frame(rows), config=CONFIG | {"sdc": "static"})["stage"]
    )
    plan = make_plan(frame(rows), config=DYNAMIC)
    assert plan["planned"].all()
    header = next(line for line in format_plan(plan).splitlines() if "echoes" in line).split()
    assert header[:4] == ["run", "echoes", "fmap", "sdc_dynamic"]


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (lambda row: row["component"] != "phase",
         "`sdc: dynamic` needs phase images: static field"),
        (lambda row: row["echo"] in (None, "2"),
         "`sdc: dynamic` needs two echoes, the run has one: static field"),
        (lambda row: row["datatype"] != "fmap",
         "`sdc: dynamic` adds to a fieldmap: no fieldmap: no distortion correction"),
    ],
)  # fmt: skip
def test_a_field_stays_static_with_a_reason_that_is_told(rows, left, reason):
    rows = [row for row in rows if left(row)]
    if not any(row["datatype"] == "fmap" for row in rows):
        rows = [row | {"fieldmaps": None} for row in rows]
    assert decide(rows, "sdc_dynamic", config=DYNAMIC) == (False, reason)
    assert any(reason in line for line in notices(make_plan(frame(rows), config=DYNAMIC)))


def test_medic_needs_no_fieldmap(rows):
    medic = CONFIG | {"sdc": "medic"}
    for row in rows:
        row |= {"fieldmap": None, "fieldmaps": None, "fieldmap_kind": None, "fieldmap_folder": None}
    expected = (True, "from the phase of the run, by MEDIC (warpkit)")
    assert decide(rows, "fmap", config=medic) == expected
    assert decide(rows, "sdc_dynamic", config=medic) == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"n_volumes": 1}, "`sdc: medic` needs several volumes, the run has one"),
        ({"phase_encoding_direction": None}, "no PhaseEncodingDirection in the sidecar"),
        ({"total_readout_time": None}, "no TotalReadoutTime or EffectiveEchoSpacing"),
    ],
)
def test_medic_says_what_a_run_lacks(rows, changes, reason):
    for row in pick(rows, "func"):
        row |= changes
    planned, found = decide(rows, "fmap", config=CONFIG | {"sdc": "medic"})
    assert not planned
    assert found.startswith(reason)
    assert found.endswith("no distortion correction")


def test_medic_without_phase_does_not_correct(rows):
    left = [row for row in rows if row["component"] != "phase"]
    reason = "`sdc: medic` needs phase images: no distortion correction"
    assert decide(left, "fmap", config=CONFIG | {"sdc": "medic"}) == (False, reason)


def test_maps_that_name_other_runs_are_not_used_and_the_plan_says_so(rows):
    for row in pick(rows, "_bold"):
        row |= {"fieldmap": None, "fieldmaps": None, "fieldmap_by": OTHERS_ONLY}
    assert decide(rows, "fmap") == (
        False,
        "fieldmaps of the session name other runs only (see `fmap.assign`): no distortion "
        "correction",
    )


def test_no_fieldmap_no_distortion_correction(rows):
    for row in rows:
        row |= {"fieldmap": None, "fieldmaps": None, "fieldmap_kind": None}
    assert decide(rows, "fmap") == (False, "no fieldmap: no distortion correction")


def test_epi_images_of_one_direction_give_no_field(rows):
    for row in rows:
        row |= {"fieldmap": "epi", "fieldmaps": ["epi"], "fieldmap_kind": "epi"}
    planned, reason = decide(rows, "fmap")
    assert not planned
    assert "do not encode two opposite directions" in reason
    for row in rows:
        row |= {"fieldmap_kind": "pepolar", "fieldmap_by": "IntendedFor"}
    assert decide(rows, "fmap") == (True, "epi: IntendedFor")


def test_the_choice_of_fieldmaps_is_said(rows):
    assert decide(rows, "fmap") == (True, "phasediff: only one in the session")
    for row in rows:
        row |= {"fieldmaps": ["b", "a"], "fieldmap_by": "IntendedFor, interpolated in time"}
    assert decide(rows, "fmap") == (True, "a, b: IntendedFor, interpolated in time")


@pytest.mark.parametrize("column", ["phase_encoding_direction", "total_readout_time"])
def test_a_fieldmap_without_the_keys_of_the_run_is_of_no_use(rows, column):
    for row in rows:
        row[column] = None
    planned, reason = decide(rows, "fmap")
    assert not planned
    assert reason.endswith("in the sidecar: no distortion correction")


def test_without_a_t1w_the_output_is_in_boldref_space(rows):
    rows = [row for row in rows if row["datatype"] != "anat"]
    assert decide(rows, "anat") == (False, "no T1w or UNIT1 image")
    assert decide(rows, "coreg") == (
        True,
        "no T1w: aligned with the reference image of the subject's reference run",
    )
    for stage in ("resample", "optcom", "ica", "confounds", "singletrial", "compare"):
        assert decide(rows, stage)[0] is True


def test_without_a_t1w_the_plan_of_t1w_space_is_reduced(rows):
    rows = [row for row in rows if row["datatype"] != "anat"]
    config = CONFIG | {"output": {"space": "T1w"}}
    for stage in ("coreg", "resample", "optcom", "ica", "confounds", "singletrial"):
        planned, reason = decide(rows, stage, config=config)
        assert not planned
        assert "reduced plan: no T1w" in reason
        assert "output.without_T1w: boldref" in reason
    for stage in ("fmap", "nordic", "hmc"):
        assert decide(rows, stage, config=config)[0] is True


def test_one_subject_without_a_t1w_does_not_change_the_space_of_the_others(rows):
    other = [copy.deepcopy(row) for row in rows if row["datatype"] != "anat"]
    for row in other:
        row |= {"subject": "02"} | {
            key: str(row[key]).replace("sub-01", "sub-02")
            for key in ("stem", "folder", "group", "path") if row[key]
        }  # fmt: skip
    plan = make_plan(frame(rows + other), config=CONFIG)
    coreg = plan[plan["stage"] == "coreg"].groupby("subject")["planned"].all()
    assert coreg.to_dict() == {"01": True, "02": False}


def test_unit1_stands_in_for_a_t1w(rows):
    pick(rows, "T1w")[0]["suffix"] = "UNIT1"
    planned, reason = decide(rows, "anat")
    assert planned
    assert reason.startswith("UNIT1 in place of a T1w, without INV1 and INV2: ")
    assert "no T1 map" in reason


def test_several_t1w_are_said(rows):
    rows.append(pick(rows, "T1w")[0] | {"path": "sub-01/anat/sub-01_run-2_T1w.nii"})
    assert decide(rows, "anat") == (True, "2 T1w images, sub-01_run-2_T1w.nii is used")


def test_a_key_names_the_t1w_by_its_entities(rows):
    rows.append(pick(rows, "T1w")[0] | {"path": "sub-01/anat/sub-01_run-2_T1w.nii"})
    config = CONFIG | {"anat": {"T1w": "ses-01"}}
    used = "2 T1w images, sub-01_ses-01_T1w.nii.gz is used"
    assert decide(rows, "anat", config=config) == (True, used)
    with pytest.raises(MetadataError, match=r"`anat.T1w`.*sub-01, none has 'run-3' in the name"):
        decide(rows, "anat", config=CONFIG | {"anat": {"T1w": "run-3"}})


def test_the_t1w_that_was_used_stays_and_a_later_t2w_is_not_used(rows):
    first = pick(rows, "T1w")[0]
    rows.append(first | {"path": "sub-01/anat/sub-01_run-2_T1w.nii"})
    rows.append(first | {"path": "sub-01/anat/sub-01_T2w.nii", "suffix": "T2w"})
    kept = {"sub-01": References(anatomy={"T1w": first["path"], "T2w": None})}
    plan = make_plan(frame(rows), config=CONFIG, kept=kept)
    assert plan["reason"][0] == (
        "2 T1w images, sub-01_ses-01_T1w.nii.gz is used; the T2w came after the first alignment "
        "and is not used"
    )


def test_a_t1w_that_is_a_series_is_refused_by_name_and_shape(rows):
    first = pick(rows, "T1w")[0] | {"shape": [8, 9, 7, 2]}
    rows[rows.index(pick(rows, "T1w")[0])] = first
    said = f"{first['path']} is a series of 8 x 9 x 7 x 2: one volume is needed"
    assert decide(rows, "anat") == (False, said)
    rows.append(first | {"path": "sub-01/anat/sub-01_run-2_T1w.nii", "shape": [8, 9, 7, 1]})
    used = "2 T1w images, sub-01_run-2_T1w.nii is used; "
    assert decide(rows, "anat") == (True, used + said)


@pytest.mark.parametrize("shape", [SHAPE[:3], (*SHAPE[:3], 1)])
def test_a_run_of_one_volume_is_said_however_it_is_stored(tmp_path, shape):
    tree = Tree(tmp_path)
    tree.session("01", "01", suffixes=("bold", "sbref"), shape=shape)
    table = index.index(tree.root)
    assert {finding.severity for finding in checks.check(table)} == {"warning"}  # empty images
    assert decide(records(table), "hmc") == (False, "one volume: no motion")


def test_anatomy_of_another_session_serves_the_runs(rows):
    for row in pick(rows, "T1w"):
        row |= {"session": "anat", "folder": "sub-01/ses-anat"}
    assert decide(rows, "coreg") == (True, "")


def test_anatomy_alone_is_a_plan_of_one_line(rows):
    plan = make_plan(frame([row for row in rows if row["datatype"] == "anat"]), config=CONFIG)
    assert plan["stage"].tolist() == ["anat"]
    assert format_plan(plan) == "sub-01: anatomy yes\n  no BOLD run\n"


@pytest.mark.parametrize(
    ("stage", "key"), [("stc", {"slice_timing": {"method": "none"}}), ("fmap", {"sdc": "none"})]
)
def test_a_stage_that_is_switched_off_is_not_planned_and_not_told_loudly(rows, stage, key):
    name = "sdc" if stage == "fmap" else "slice_timing.method"
    assert decide(rows, stage, config=CONFIG | key) == (False, f"switched off by `{name}`")
    assert decide(rows, "resample", config=CONFIG | key) == (True, "")
    assert notices(make_plan(frame(rows), config=CONFIG | key)) == []


def test_no_slice_times(rows):
    for row in rows:
        row["slice_timing"] = None
    assert decide(rows, "stc")[0] is False
    assert decide(rows, "resample")[0] is True


def test_no_repeats_no_noise_ceiling(rows):
    for row in pick(rows, "_bold"):
        row |= {"events_repeats": {"stim_name": [0, 0]}, "events_trials": None}
    assert decide(rows, "singletrial")[0] is True
    for stage in GROUP_STAGES:
        assert decide(rows, stage)[0] is False
    assert decide(rows, "noiseceiling")[1] == "no image is shown twice"


def test_what_the_data_do_not_allow_is_said_once_per_reason(rows):
    assert notices(make_plan(frame(rows), config=CONFIG)) == []
    few = CONFIG | {"variants": ["standardSingle"], "compare_sessions": "none"}
    assert notices(make_plan(frame(rows), config=few)) == []
    for row in pick(rows, "_bold"):
        row |= {"fieldmap": None, "fieldmaps": None, "fieldmap_kind": None}
    magnitude = [row for row in rows if row["component"] != "phase"]
    runs = [f"sub-01_ses-01_task-images_run-0{run}" for run in (1, 2)]
    both = f"2 runs or sessions: {', '.join(runs)}"
    assert notices(make_plan(frame(magnitude), config=CONFIG)) == [
        f"fmap: no fieldmap: no distortion correction ({both})",
        f"nordic: magnitude only: no phase images ({both})",
    ]


def test_repeats_across_sessions_only(rows):
    for row in pick(rows, "_bold"):
        row |= {"events_repeats": {"stim_name": [0, 4]}, "events_trials": None}
    assert decide(rows, "noiseceiling") == (False, "images repeat across sessions only")
    assert decide(rows, "across_sessions") == decide(rows, "rois") == (True, "")
    planned, reason = decide(rows, "compare")
    assert not planned
    assert "images repeat across sessions only" in reason


def test_the_label_of_blank_trials_is_no_repeated_image(rows):
    for row in pick(rows, "_bold"):
        row["events_columns"] = ["onset", "duration", "stim_name", "trial_type"]
        row |= {"events_repeats": {"stim_name": [1, 1], "trial_type": [2, 2]}}
        row["events_trials"] = None
    assert decide(rows, "noiseceiling")[0] is False
    unblanked = CONFIG | {"design": {"label_column": "stim_name", "blank": {}}}
    assert decide(rows, "noiseceiling", config=unblanked)[0] is True


def test_a_run_without_the_label_column_is_named_with_columns_and_fix(rows):
    for row in pick(rows, "run-02", "_bold"):
        row |= {"events_columns": ["onset", "duration", "trial_type"], "events_repeats": {}}
    stem = "sub-01_ses-01_task-images_run-0"
    planned, reason = decide(rows, "singletrial", stem=f"{stem}2")
    assert not planned
    for word in ("run-02_events.tsv", "'stim_name'", "trial_type", "design.label_column"):
        assert word in reason
    assert decide(rows, "singletrial", stem=f"{stem}1")[0] is True
    assert make_plan(frame(rows), config=CONFIG).attrs["events"] == [reason]


def test_a_chosen_label_column_that_no_file_has_is_an_error(rows):
    config = CONFIG | {"design": {"label_column": "file_path"}}
    with pytest.raises(MetadataError, match=r"'file_path' is missing.*stim_name"):
        make_plan(frame(rows), config=config)


def test_other_tasks_without_the_label_column_are_left_out(rows):
    for row in pick(rows, "run-02", "_bold"):
        row |= {"task": "floc", "group": "sub-01_ses-01_task-floc"}
        row |= {"events_columns": ["onset", "duration", "trial_type"], "events_repeats": {}}
    decision = decide(rows, "singletrial", stem="sub-01_ses-01_task-images_run-02")
    assert decision[0] is False
    assert "have no column 'stim_name' (they have: onset, duration, trial_type)" in decision[1]
    assert decide(rows, "noiseceiling", stem="sub-01_ses-01_task-images")[0] is True


def test_the_usual_label_column_need_not_fit_every_data_set(rows):
    for row in pick(rows, "_bold"):
        row |= {"events_columns": ["onset", "duration", "trial_type"], "events_repeats": {}}
    planned, reason = decide(rows, "singletrial")
    assert not planned
    assert "design.label_column" in reason


def test_variants_decide_on_nordic_and_combination(rows):
    config = CONFIG | {"variants": ["standardSingle"]}
    for stage in ("nordic", "optcom", "ica"):
        assert decide(rows, stage, config=config) == (False, "no variant asks for it")
    assert decide(rows, "compare", config=config)[0] is False


def test_variants_with_nordic_need_nordic(rows):
    for row in pick(rows, "run-02", "_bold"):
        row["n_volumes"] = 5
    config = CONFIG | {"design": {"label_column": "stim_name"}}
    planned, reason = decide(rows, "compare", config=config)
    assert (planned, reason) == (True, "standardSingle, standardOptcom, standardIca")


def test_the_first_session_with_a_fit_is_compared(rows):
    later = sessions_like(rows, ["02"])
    for row in rows:
        row |= {"events": None, "n_events": None, "events_columns": None}
    plan = make_plan(frame([*rows, *later]), config=CONFIG)
    assert plan.loc[(plan["stage"] == "compare") & plan["planned"], "session"].tolist() == ["02"]


@pytest.mark.parametrize(
    ("wanted", "compared"),
    [("first", {"01"}), ("all", {"01", "02"}), ("none", set()), (["02"], {"02"}), ([2], set())],
)
def test_sessions_that_are_compared(rows, wanted, compared):
    plan = make_plan(frame([*rows, *sessions_like(rows, ["02"])]),
                     config=CONFIG | {"compare_sessions": wanted})  # fmt: skip
    chosen = plan[(plan["stage"] == "compare") & plan["planned"]]
    assert set(chosen["session"]) == compared


def test_a_refused_run_is_in_the_plan_with_its_sentence(rows):
    for row in pick(rows, "run-02", "_bold"):
        row |= {"repetition_time": None, "volume_timing": [0.0, 2.0, 5.0]}
    stem = "sub-01_ses-01_task-images_run-02"
    for stage in RUN_STAGES:
        planned, reason = decide(rows, stage, stem=stem)
        assert not planned
        assert "VolumeTiming" in reason


def test_one_volume_cannot_be_aligned(rows):
    for row in rows:
        row["n_volumes"] = 1
    assert decide(rows, "hmc") == (False, "one volume: no motion")
    assert decide(rows, "confounds")[0] is False


def test_without_sbref_the_reference_is_a_mean(rows):
    rows = [row for row in rows if row["suffix"] != "sbref"]
    assert decide(rows, "hmc") == (True, "no SBRef: robust mean as the reference")


def renamed(row, old, new):
    """Return a copy of a row in which every name has another label."""
    return {k: v.replace(old, new) if isinstance(v, str) else v for k, v in row.items()}


def sessions_like(rows, labels):
    """Return copies of a session's rows under other session labels."""
    return [
        renamed(row, "ses-01", f"ses-{label}") | {"session": label}
        for label in labels
        for row in rows
    ]


def test_the_work_of_a_plan_grows_as_the_table_does(rows):
    runs = pick(rows, "run-01", "func")
    more = [
        renamed(row, "run-01", f"run-{n:02d}") | {"run": f"{n:02d}"}
        for n in range(3, 13)
        for row in runs
    ]
    session = [*rows, *more]

    def planned(n_sessions):
        labels = [f"{n:02d}" for n in range(2, n_sessions + 1)]
        plans = []
        table = frame([*session, *sessions_like(session, labels)])
        work = lines_run(lambda: plans.append(make_plan(table, config=CONFIG)))
        return plans[0], work

    (plan, work), (_, less) = planned(33), planned(11)
    assert work < 3.3 * less
    assert (plan["stage"] == "hmc").sum() == 33 * 12
    assert plan["planned"].sum() == 1 + 33 * (12 * len(RUN_STAGES) + 3) + 1


def test_the_text_is_a_screen_per_session_with_numbered_reasons(rows):
    for row in rows:
        if row["component"] == "phase":
            row["component"] = "other"
    text = format_plan(make_plan(frame(rows), config=CONFIG))
    lines = text.splitlines()
    assert lines[0] == "sub-01: anatomy yes"
    assert lines[2] == "sub-01_ses-01: 2 runs"
    assert lines[3].split() == ["run", "echoes", *RUN_STAGES]
    assert lines[4].split()[:4] == ["task-images_run-01", "3", "yes[1]", "yes[2]"]
    assert lines[6].split() == ["task", "echoes", *GROUP_STAGES]
    assert "  [2] magnitude only: no phase images" in lines
    assert len(lines) < 24
    assert max(map(len, lines)) < 160


@pytest.mark.parametrize(
    ("noted", "planned", "words"),
    [
        ("ND", True, ""),
        (None, True, "ImageType says neither ND nor DIS: the warp is applied"),
        ("DIS3D", False, "corrected twice"),
        ("DIS2D", False, "the displacement through the slices remains"),
        ("applied", False, "NonlinearGradientCorrection"),
    ],
)
def test_the_warp_is_left_out_where_the_scanner_corrected(rows, noted, planned, words):
    for row in rows:
        if row["datatype"] == "func":
            row["gradient_correction"] = noted
    decision = decide(rows, "gradunwarp", config=WARPED)
    assert decision[0] is planned
    assert words in decision[1]
    said = "\n".join(notices(make_plan(frame(rows), config=WARPED)))
    assert words in said
    assert "gradunwarp" not in set(make_plan(frame(rows), config=CONFIG)["stage"])


def test_a_fieldmap_that_is_corrected_otherwise_than_its_run_is_told(rows):
    for row in pick(rows, "magnitude1"):
        row["gradient_correction"] = "DIS2D"
    for row in pick(rows, "func"):
        row["gradient_correction"] = "ND"
    planned, reason = decide(rows, "gradunwarp", config=WARPED)
    assert planned
    assert "DIS2D" in reason


def test_a_run_that_is_corrected_in_part_is_refused_with_a_warp(rows):
    for row in pick(rows, "run-01", "_sbref"):
        row["gradient_correction"] = "DIS3D"
    make_plan(frame(rows), config=CONFIG)
    with pytest.raises(MetadataError, match=r"sbref\.nii\.gz says DIS3D.*says ND or nothing"):
        make_plan(frame(rows), config=WARPED)


def test_a_missing_sbref_of_one_echo_is_said(rows):
    rows = [row for row in rows if row["suffix"] != "sbref" or row["echo"] == "2"]
    said = "no SBRef of echo 1: motion is measured against the mean of its series"
    assert decide(rows, "hmc") == (True, said)
    assert decide(rows, "hmc", config=CONFIG | {"hmc": {"echo": 2}}) == (True, "")
    said = "no SBRef of echo 1: robust mean of its series as the reference"
    assert decide(rows, "hmc", config=CONFIG | {"hmc": {"reference_echo": 1}}) == (True, said)


def test_what_only_the_header_can_tell_is_not_called_absent(rows):
    for row in pick(rows, "_bold"):
        row |= {"total_readout_time": None, "shape": None, "image_state": "missing"}
        row["readout_by"] = "EffectiveEchoSpacing"
    assert decide(rows, "fmap")[0] is True
    for row in pick(rows, "_bold"):
        row["readout_by"] = None
    planned, reason = decide(rows, "fmap")
    assert not planned
    assert "no TotalReadoutTime or EffectiveEchoSpacing in the sidecar" in reason


def test_one_subject_without_a_t1w_may_take_all_to_boldref_space(rows):
    other = [row | {"subject": "02", "stem": row["stem"].replace("sub-01", "sub-02"),
                    "group": row["group"] and row["group"].replace("sub-01", "sub-02")}
             for row in copy.deepcopy(rows) if row["datatype"] == "func"]  # fmt: skip
    choose = {c: CONFIG | {"output": {"without_T1w": c}} for c in ("boldref", "leave_out")}
    assert decide(rows + other, "resample", config=choose["boldref"])[0] is True
    stem = "sub-02_ses-01_task-images_run-01"
    planned, reason = decide(rows + other, "hmc", stem=stem, config=choose["leave_out"])
    assert not planned
    assert "no T1w, and `output.without_T1w: leave_out`" in reason
