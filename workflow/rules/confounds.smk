"""Confound regressors beside each preprocessed BOLD image."""


rule confounds:
    input:
        store=series_of_variant,
        samples=of_level(rules.series.output.samples),
        motion=run_motion,
        volumes=rules.hmc.output.volumes,
        boldref=rules.hmc.output.boldref,
        mask=of_subject(rules.grid.output.series_mask),
        brain=of_subject(rules.grid.output.mask),
        dseg=of_subject(rules.grid.output.dseg),
    output:
        table="<out>/{dataset}/{folder}/func/{stem}_desc-confounds_timeseries.tsv",
        info="<out>/{dataset}/{folder}/func/{stem}_desc-confounds_timeseries.json",
    log:
        "<logs>/confounds/{dataset}/{folder}/{stem}.log",
    conda:
        "../../envs/confounds.yaml"
    resources:
        mem_mb=memory(0, 500, output=1.4),
        runtime=minutes(20),
    params:
        run=by(parameters.of_run, "tr", "tr_out", "single_echo", "slice_timing"),
        settings=config["confounds"],
        code=code("confounds_table"),
    script:
        "../scripts/confounds_table.py"
