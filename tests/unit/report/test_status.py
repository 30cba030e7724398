"""What is done, failed, running and waiting, from the files of a call."""

import json
import os
import re
import socket
from pathlib import Path

import pytest
from report_folder import Output, finished

from mebold.processes import started
from mebold.report import progress, status
from mebold.report.folder import Folder
from mebold.report.status import DONE, FAILED, MARKS, RUNNING, SHARED, SKIPPED, WAITING
from mebold.report.study import Study

RULES = Path(__file__).resolve().parents[3] / "workflow" / "rules"
RUN = "sub-01_ses-01_task-images_run-02"


def states(root, name=RUN):
    study = Study(Folder(root))
    return {state.stage: state for state in study.states[name]}


def test_all_is_done(tmp_path):
    finished(tmp_path)
    study = Study(Folder(tmp_path))
    # ICA could run, and no variant of these sessions needs it.
    left = {s.stage for one in study.states.values() for s in one if s.state != DONE}
    assert left == {"ica", "compare"}
    assert study.failures == []


def test_denoised_echoes_that_are_not_kept_were_made_all_the_same(tmp_path):
    """As with ``nordic.write: []``."""
    finished(tmp_path)
    for image in tmp_path.rglob("*_desc-nordic_bold.nii.gz"):
        image.unlink()
    assert states(tmp_path)["nordic"].state == DONE


def test_a_failed_job_is_found_by_its_log_and_what_needs_it_waits(tmp_path):
    out = Output(tmp_path)
    out.subject("01")
    out.run("01", "01", "01")
    out.run("01", "01", "02", until="coreg")
    group = out.session("01", "01", fit=False)
    out.log(f"coreg_run/sub-01/ses-01/{RUN}.log", error="no overlap: 3 mm")
    found = states(tmp_path)
    assert (found["coreg"].state, found["coreg"].reason) == (FAILED, "no overlap: 3 mm")
    assert found["coreg"].log == f"work/logs/coreg_run/sub-01/ses-01/{RUN}.log"
    assert (found["hmc"].state, found["resample"].state) == (DONE, WAITING)
    assert found["resample"].reason == found["stc"].reason == "needs coreg, which failed"
    fit = states(tmp_path, group)["singletrial nordicOptcom"]
    assert (fit.state, fit.reason) == (WAITING, f"needs coreg of {RUN}, which failed")
    other = states(tmp_path, RUN.replace("run-02", "run-01"))
    assert other["confounds"].state == DONE


def test_the_fit_of_a_localizer_is_that_of_its_session(tmp_path):
    out = finished(tmp_path, n_sessions=1)
    stem, group = RUN.replace("images", "floc"), "sub-01_ses-01_task-floc"
    out.plan("01", "01", "floc", "02", stem, group, "localizer", planned=True)
    assert states(tmp_path, stem)["localizer"].state == WAITING
    log = f"localizer_glm/sub-01/ses-01/{group}.log"
    out.log(log, error="no confound 'x'")
    found = states(tmp_path, stem)["localizer"]
    assert (found.state, found.reason) == (FAILED, "no confound 'x'")
    (tmp_path / "work/logs" / log).unlink()
    out.write(f"localizers/sub-01/ses-01/func/{group}_desc-localizer_glm.json", {})
    assert states(tmp_path, stem)["localizer"].state == DONE


def test_what_only_some_variants_need_holds_up_those(tmp_path):
    out = Output(tmp_path)
    out.subject("01")
    out.run("01", "01", "02", until="optcom")
    group = out.session("01", "01", fit=False, compare="standardSingle, nordicOptcom")
    done = f"glmsingle-standardSingle/sub-01/ses-01/func/{group}_desc-GLMsingle_summary.json"
    out.write(done, {"Model": "FITHRF"})
    out.log(f"nordic/sub-01/ses-01/{RUN}_echo-2.log", error="phase from -3 to 9")
    found = states(tmp_path)
    assert (found["nordic"].state, found["hmc"].state, found["resample"].state) == (
        *(FAILED, DONE, DONE),
    )
    assert found["optcom"].reason == "needs nordic, which failed"
    fits = states(tmp_path, group)
    assert fits["singletrial standardSingle"].state == DONE
    assert fits["singletrial nordicOptcom"].reason == f"needs nordic of {RUN}, which failed"
    assert fits["noiseceiling"].reason == f"needs nordic of {RUN}, which failed"


def test_a_job_of_the_session_that_failed_holds_up_its_runs(tmp_path):
    out = Output(tmp_path)
    out.subject("01")
    out.run("01", "01", "02", until="coreg")
    out.log("coreg_session/sub-01/ses-01/sub-01_ses-01.log", error="too far")
    found = states(tmp_path)["coreg"]
    assert found.state == WAITING
    assert found.reason == "needs coreg_session of sub-01_ses-01, which failed"
    run = Study(Folder(tmp_path)).subjects["sub-01"].runs[0]
    assert (run.verdict.level, run.verdict.reasons[0][1]) == ("bad", found.reason)


def test_a_killed_job_leaves_no_error_and_is_known_from_the_call(tmp_path):
    out = Output(tmp_path)
    out.subject("01")
    out.run("01", "01", "02", until="resample")
    name = f"series/sub-01/ses-01/{RUN}_nordic.log"
    out.log(name)
    assert states(tmp_path)["resample"].state == WAITING
    status.keep(tmp_path / "work", [str(tmp_path / "work/logs" / name), ""])
    found = states(tmp_path)["resample"]
    assert found.state == FAILED
    assert "killed" in found.reason
    assert Study(Folder(tmp_path)).failures[0].name == f"series of {RUN} (nordic)"
    status.keep(tmp_path / "work", [])
    assert states(tmp_path)["resample"].state == WAITING


def test_what_has_a_log_and_no_product_runs_while_a_call_is_at_work(tmp_path):
    out = Output(tmp_path)
    out.subject("01")
    out.run("01", "01", "02", until="resample")
    out.log(f"series/sub-01/ses-01/{RUN}_nordic.log")
    lock = {"Host": socket.gethostname(), "Process": os.getpid(), "Started": started(os.getpid())}
    out.write("work/.lock.json", lock | {"Since": "2026-11-23T00:00:00+00:00"})
    assert states(tmp_path)["resample"].state == RUNNING
    out.write("work/.lock.json", lock | {"Started": "0"})  # its process has ended
    assert states(tmp_path)["resample"].state == WAITING


def test_resampling_is_done_where_work_was_deleted_and_its_products_are_there(tmp_path):
    finished(tmp_path)
    for path in (tmp_path / "work/series").rglob("*.npz"):
        path.unlink()
    assert states(tmp_path)["resample"].state == DONE


def test_what_is_not_planned_says_why(tmp_path):
    out = Output(tmp_path)
    out.subject("01")
    out.run("01", "01", "02", skipped={"fmap": "no fieldmap", "singletrial": "no events"})
    found = states(tmp_path)
    assert (found["fmap"].state, found["fmap"].reason) == (SKIPPED, "no fieldmap")
    assert found["singletrial"].state == SKIPPED


def test_every_log_folder_and_mark_is_one_of_the_rules():
    text = "\n".join(path.read_text() for path in sorted(RULES.glob("*.smk")))
    logs = set(re.findall(r'"<logs>/([\w/]+?)(?:/\{|\.log)', text))
    named = {rule for rules, _ in MARKS.values() for rule in rules}
    named |= {rule for rules in SHARED.values() for rule in rules}
    assert named - logs == set()
    # Jobs whose failure shows in no stage of a run are listed by themselves.
    alone = {"plan", "datasets", "compare_group", "compare_task", "report_run"}
    alone |= {"report_anatomy"}
    alone |= {"report_viewer/session", "report_viewer/subject", "surface_maps", "surface_figure"}
    alone |= {"surface_t2star"}
    alone |= {"megre", "megre_field", "mp2rage_t1", "antspynet", "t2w", "template_morphometry"}
    assert logs - named - alone == set()
    outputs = [
        re.sub(r"\{(\w+)\}", "x", re.sub(r"<\w+>", "x", name)).rpartition("/")[2]
        for name in re.findall(r'"(<out>/[^"]+)"', text)
    ]
    for stage, (_, mark) in MARKS.items():
        if mark:
            assert any(re.search(rf"(^|_|x){mark}$", name) for name in outputs), stage


@pytest.mark.parametrize("kept", ["{", "[]", '{"a": 1}'])
def test_a_damaged_record_of_failures_is_no_failure(tmp_path, kept):
    out = finished(tmp_path)
    out.write("work/failures.json", kept)
    assert Study(Folder(tmp_path)).failures == []


def test_progress_names_runs_reasons_and_logs(tmp_path):
    out = Output(tmp_path)
    out.subject("01")
    out.run("01", "01", "01")
    out.run("01", "01", "02", until="coreg")
    out.log(f"coreg_run/sub-01/ses-01/{RUN}.log", error="no overlap: 3 mm")
    out.log("compare_group.log", error="no table")
    text = progress.text(Study(Folder(tmp_path)))
    assert re.match(r"\d+ of \d+ stages done \(\d+ %\), 1 failed, \d+ waiting\n", text)
    assert f"  {RUN}: coreg failed: no overlap: 3 mm\n    log: work/logs/coreg_run/" in text
    assert "needs coreg, which failed" in text
    assert "failed: compare_group: no table\n  log: work/logs/compare_group.log" in text


def test_progress_estimates_from_the_pace_of_the_call(tmp_path):
    out = finished(tmp_path)
    from datetime import UTC, datetime, timedelta

    since = datetime.now(UTC) - timedelta(seconds=100)
    out.write("work/.lock.json", {"Since": since.isoformat()})
    for n in range(10):
        out.write(f"work/benchmarks/hmc/{n}.tsv", "s\n1\n")
    study = Study(Folder(tmp_path))
    assert progress.remaining_s(study, 20) == pytest.approx(200, rel=0.05)
    assert progress.remaining_s(study, 0) is None


def test_nothing_planned_is_said(tmp_path):
    assert "output_dir" in progress.text(Study(Folder(tmp_path)))


def test_the_call_keeps_failures_and_never_fails_itself(tmp_path):
    from mebold.report import call

    out = finished(tmp_path)
    config = {"output_dir": str(tmp_path), "report": {"pages": True}}
    assert call.ended(config, []) == ""
    assert (tmp_path / "report/index.html").exists()
    assert json.loads((tmp_path / "work/failures.json").read_text()) == []
    out.write("plan.tsv", "no table\n1\n")
    assert "KeyError" in call.ended(config, [])
