"""T2* weights of a session, optimal combination, ICA denoising, and the images users read."""


rule decay:
    input:
        summaries=decay_summaries,
        mask=of_subject(rules.grid.output.series_mask),
    output:
        fit="<work>/decay/{folder}/{pooled}_decay.npz",
        t2star="<out>/preproc/{folder}/func/{pooled}_space-<space>_T2starmap.nii.gz",
        s0="<out>/preproc/{folder}/func/{pooled}_space-<space>_S0map.nii.gz",
        adaptive="<out>/preproc/{folder}/func/{pooled}_space-<space>_desc-adaptiveGoodSignal_mask.nii.gz",
        rmse="<out>/preproc/{folder}/func/{pooled}_space-<space>_stat-rmse_desc-decay_statmap.nii.gz",
        r2="<out>/preproc/{folder}/func/{pooled}_space-<space>_stat-rsquare_desc-decay_statmap.nii.gz",
        figure=report(
            "<out>/preproc/{folder}/figures/{pooled}_space-<space>_T2starmap.png",
            caption="../report/t2star.rst",
            category="Preprocessing",
            subcategory="{folder}",
            labels={"run": "{pooled}", "figure": "T2*"},
        ),
    log:
        "<logs>/decay/{folder}/{pooled}.log",
    conda:
        "../../envs/multiecho.yaml"
    resources:
        mem_mb=memory(0, 800),
        runtime=minutes(20),
    params:
        te=by(parameters.pooled_echo_times),
        method=config["decay"]["method"],
        reference=spatial_reference,
        code=code("decay_fit"),
    script:
        "../scripts/decay_fit.py"


rule optcom:
    input:
        store=rules.series.output.store,
        fit=decay_of_run,
    output:
        store=kept_series(
            "<work>/series/{folder}/{stem}_desc-{thermal}Optcom_series.npy"
        ),
    log:
        "<logs>/optcom/{folder}/{stem}_{thermal}.log",
    conda:
        "../../envs/multiecho.yaml"
    resources:
        mem_mb=memory(0, 450, output=1.8),
        runtime=minutes(20),
    params:
        run=by(parameters.of_run, "echo_times"),
        code=code("optcom_combine"),
    script:
        "../scripts/optcom_combine.py"


# tedana's own decomposition holds all echoes several times.
COMPONENTS_FOUND_HERE = (
    config["ica"]["engine"] == "mebold"
    and not config["ica"]["robust"]
    and not isinstance(config["ica"]["order"], str)
)


rule ica:
    input:
        store=rules.series.output.store,
        optcom=rules.optcom.output.store,
        samples=rules.series.output.samples,
        fit=decay_of_run,
        mask=of_subject(rules.grid.output.series_mask),
        brain=of_subject(rules.grid.output.mask),
    output:
        store=kept_series("<work>/series/{folder}/{stem}_desc-{thermal}Ica_series.npy"),
        report=directory("<out>/preproc-{thermal}Ica/{folder}/tedana/{stem}"),
        info="<out>/preproc-{thermal}Ica/{folder}/func/{stem}_desc-ICA_outcome.json",
    log:
        "<logs>/ica/{folder}/{stem}_{thermal}.log",
    benchmark:
        "<benchmarks>/ica/{folder}/{stem}_{thermal}.tsv"
    conda:
        "../../envs/multiecho.yaml"
    resources:
        mem_mb=(
            memory(0, 500, judged=6.5)
            if COMPONENTS_FOUND_HERE
            else memory(0, 3000, output=20)
        ),
        runtime=minutes(30 if COMPONENTS_FOUND_HERE else 240),
    params:
        run=by(parameters.of_run, "stem", "tr_out", "n_acquired", "echo_times"),
        settings=by(parameters.ica_settings),
        seed=config["seed"],
        code=code("ica_denoise"),
    script:
        "../scripts/ica_denoise.py"


rule ica_tables:
    input:
        outcome=ica_outcome,
    output:
        outcome="<out>/{dataset}/{folder}/func/{stem}_desc-ICA_outcome.json",
    log:
        "<logs>/ica_tables/{dataset}/{folder}/{stem}.log",
    wildcard_constraints:
        dataset="tedana|preproc-standardOptcom",
    localrule: True
    conda:
        "../../envs/core.yaml"
    params:
        code=code("ica_tables"),
    script:
        "../scripts/ica_tables.py"
