"""For the pages: carpet, confounds and quality of a run, noise ceilings to look through.

Jobs of their own, so that a figure reruns no fit.
"""


rule report_run:
    input:
        unpack(anchor),
        boldref=run_boldref,
        distorted=rules.hmc.output.boldref,
        xfm=rules.coreg_run.output.xfm,
        tissue=tissue_of_anchor,
        store=series_of_variant,
        echoes=of_level(rules.series.output.store),
        samples=of_level(rules.series.output.samples),
        table=rules.confounds.output.table,
        info=rules.confounds.output.info,
        mask=of_subject(rules.grid.output.series_mask),
        brain=of_subject(rules.grid.output.mask),
        dseg=of_subject(rules.grid.output.dseg),
    output:
        info="<out>/{dataset}/{folder}/func/{stem}_desc-quality_bold.json",
        carpet="<out>/{dataset}/{folder}/figures/{stem}_desc-carpet_bold.png",
        confounds="<out>/{dataset}/{folder}/figures/{stem}_desc-confounds_bold.png",
        before="<out>/{dataset}/{folder}/figures/{stem}_desc-flickerBefore_boldref.png",
        after="<out>/{dataset}/{folder}/figures/{stem}_desc-flickerAfter_boldref.png",
    log:
        "<logs>/report_run/{dataset}/{folder}/{stem}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 600, output=2),
        runtime=minutes(15),
    params:
        run=by(parameters.of_run, "stem", "tr_out", "single_echo"),
        fd_threshold_mm=config["confounds"]["fd_threshold_mm"],
        code=code("report_run"),
    script:
        "../scripts/report_run.py"


rule report_anatomy:
    input:
        unpack(anchor),
        tissue=tissue_of_anchor,
    output:
        figure="<out>/preproc/{sub}/figures/{sub}_desc-flickerAnatomy_<anchor>.png",
    log:
        "<logs>/report_anatomy/{sub}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 400),
        runtime=minutes(5),
    params:
        code=code("report_anatomy"),
    script:
        "../scripts/report_anatomy.py"


rule report_viewer:
    input:
        nc=rules.noiseceiling_session.output.nc,
        mask=of_subject(rules.grid.output.mask),
        underlay=of_subject(rules.grid.output.underlay),
    output:
        page="<out>/{glm}/{folder}/figures/{group}_desc-Noiseceiling_viewer.html",
    log:
        "<logs>/report_viewer/session/{glm}/{folder}/{group}.log",
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(0, 400),
        runtime=minutes(10),
    params:
        code=code("report_viewer"),
    script:
        "../scripts/report_viewer.py"


use rule report_viewer as report_viewer_subject with:
    input:
        nc=rules.noiseceiling_subject.output.nc,
        mask=of_subject(rules.grid.output.mask),
        underlay=of_subject(rules.grid.output.underlay),
    output:
        page="<out>/{glm}/{sub}/figures/{subtask}_desc-NoiseceilingAllrep_viewer.html",
    log:
        "<logs>/report_viewer/subject/{glm}/{sub}/{subtask}.log",
