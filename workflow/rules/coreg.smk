"""Alignment: run to session reference to subject reference to T1w."""


rule coreg_subject:
    input:
        boldref=t1w_boldref,
        t1w=rules.anat.output.t1w,
        mask=rules.anat.output.mask,
        wm=rules.anat.output.wm,
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
        mem_mb=memory(0, 3000),
        runtime=minutes(30),
    params:
        settings=config["coreg"],
        seed=config["seed"],
        code=code("coreg_subject"),
    script:
        "../scripts/coreg_subject.py"


rule coreg_session:
    input:
        boldref=session_boldref,
        subject_boldref=subject_boldref,
        mask=subject_boldref_mask,
        to_t1w=of_subject(rules.coreg_subject.output.xfm),
    output:
        xfm="<out>/preproc/{folder}/xfm/{ses}_from-boldref_to-T1w_mode-image_desc-session_xfm.txt",
    log:
        "<logs>/coreg_session/{folder}/{ses}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 1500),
        runtime=minutes(10),
    params:
        hmc=config["hmc"],
        code=code("coreg_align"),
    script:
        "../scripts/coreg_align.py"


rule coreg_run:
    input:
        boldref=run_boldref,
        subject_boldref=session_boldref,
        mask=session_boldref_mask,
        to_t1w=of_session(rules.coreg_session.output.xfm),
    output:
        xfm="<out>/preproc/{folder}/func/{stem}_from-boldref_to-T1w_mode-image_desc-coreg_xfm.txt",
    log:
        "<logs>/coreg_run/{folder}/{stem}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 1500),
        runtime=minutes(10),
    params:
        hmc=config["hmc"],
        code=code("coreg_align"),
    script:
        "../scripts/coreg_align.py"
