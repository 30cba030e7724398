"""Alignment: run to session reference to subject reference to T1w (or, in boldref space, not further)."""

# Keys of `coreg` that tell a doubtful alignment.
COREG_LIMITS = (
    *("least_correlation", "least_mutual_information"),
    *("least_dice", "least_coverage"),
)


rule coreg_subject:
    input:
        boldref=t1w_boldref,
        t1w=rules.anat.output.t1w,
        mask=rules.anat.output.mask,
        wm=rules.anat.output.wm,
        t2w=raw_t2w,
    output:
        xfm="<out>/preproc/{sub}/xfm/{sub}_from-boldref_to-T1w_mode-image_desc-subject_xfm.txt",
        info="<out>/preproc/{sub}/xfm/{sub}_from-boldref_to-T1w_mode-image_desc-subject_xfm.json",
        figure=report(
            "<out>/preproc/{sub}/figures/{sub}_desc-coreg_T1w.png",
            caption="../report/coreg.rst",
            category="Anatomy",
            labels={"subject": "{sub}", "figure": "BOLD edges on T1w"},
        ),
    log:
        "<logs>/coreg_subject/{sub}.log",
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=anatomy_memory(500, 75),
        runtime=minutes(30),
    params:
        settings=chosen(
            "coreg", "target", "bbr_limit_mm", "bbr_least_gain", *COREG_LIMITS
        ),
        seed=config["seed"],
        code=code("coreg_subject"),
    script:
        "../scripts/coreg_subject.py"


rule coreg_session:
    input:
        unpack(anchor),
        boldref=session_boldref,
        mask=session_boldref_mask,
        reference=subject_boldref,
        reference_mask=subject_boldref_mask,
        to_anchor=subject_to_anchor,
    output:
        xfm="<out>/preproc/{folder}/xfm/{ses}_from-boldref_to-<anchor>_mode-image_desc-session_xfm.txt",
        info="<out>/preproc/{folder}/xfm/{ses}_from-boldref_to-<anchor>_mode-image_desc-session_xfm.json",
        figure=report(
            "<out>/preproc/{folder}/figures/{ses}_desc-coregSession_boldref.png",
            caption="../report/coreg.rst",
            category="Preprocessing",
            subcategory="{folder}",
            labels={"run": "{ses}", "figure": "BOLD edges on the anatomy"},
        ),
    log:
        "<logs>/coreg_session/{folder}/{ses}.log",
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=anatomy_memory(500, 65),
        runtime=minutes(15),
    params:
        smoothing=chosen("hmc", *SMOOTHING),
        coreg=chosen("coreg", *COREG_LIMITS),
        anatomy=runs.anchor == "T1w",
        code=code("coreg_align"),
    script:
        "../scripts/coreg_align.py"


use rule coreg_session as coreg_run with:
    input:
        unpack(anchor),
        unpack(sign_check),
        boldref=run_boldref,
        mask=run_boldref_mask,
        reference=session_boldref,
        reference_mask=session_boldref_mask,
        to_anchor=of_session(rules.coreg_session.output.xfm),
    output:
        xfm="<out>/preproc/{folder}/func/{stem}_from-boldref_to-<anchor>_mode-image_desc-coreg_xfm.txt",
        info="<out>/preproc/{folder}/func/{stem}_from-boldref_to-<anchor>_mode-image_desc-coreg_xfm.json",
        figure="<out>/preproc/{folder}/figures/{stem}_desc-coreg_boldref.png",
    log:
        "<logs>/coreg_run/{folder}/{stem}.log",
    params:
        run=by(parameters.of_run, "stem", "direction", "readout_s", "fieldmaps"),
        smoothing=chosen("hmc", *SMOOTHING),
        coreg=chosen("coreg", *COREG_LIMITS),
        anatomy=runs.anchor == "T1w",
        code=code("coreg_align"),
