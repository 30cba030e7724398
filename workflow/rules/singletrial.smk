"""Single-trial fits of a session, all runs of a task together."""

FIT_KEYS = ("stem", "session", "run", "tr_out", "n_acquired", "single_echo")
# Keys of `glm` that are not options of the fit.
NOT_OPTIONS = ("confounds", "write")
FURTHER_MODELS = ("FITHRF", "FITHRF_GLMDENOISE")


rule singletrial:
    input:
        series=group_series,
        samples=of_group_level(rules.series.output.samples),
        coverage=of_group_level(rules.series.output.coverage),
        events=group_events,
        described=group_events_sidecars,
        confounds=group_confounds,
        ica=group_ica_outcomes,
        mask=of_subject(rules.grid.output.series_mask),
        brain=of_subject(rules.grid.output.mask),
        underlay=of_subject(rules.grid.output.underlay),
    output:
        **written_on_request(),
        betas="<out>/{glm}/{folder}/func/{group}_space-<space>_stat-effect_desc-SingletrialBetas_statmap.nii.gz",
        trials="<out>/{glm}/{folder}/func/{group}_desc-SingletrialBetas_trials.tsv",
        r2="<out>/{glm}/{folder}/func/{group}_space-<space>_stat-rsquare_desc-R2_statmap.nii.gz",
        hrf="<out>/{glm}/{folder}/func/{group}_space-<space>_desc-HRFindex_dseg.nii.gz",
        fracridge="<out>/{glm}/{folder}/func/{group}_space-<space>_desc-Fracridge_statmap.nii.gz",
        onoff="<out>/{glm}/{folder}/func/{group}_space-<space>_stat-rsquare_desc-R2onoff_statmap.nii.gz",
        meanvol="<out>/{glm}/{folder}/func/{group}_space-<space>_desc-Meanvol_statmap.nii.gz",
        coverage="<out>/{glm}/{folder}/func/{group}_space-<space>_desc-coverage_mask.nii.gz",
        model="<out>/{glm}/{folder}/func/{group}_space-<space>_desc-GLMsingle_model.h5",
        summary="<out>/{glm}/{folder}/func/{group}_desc-GLMsingle_summary.json",
        carpet=report(
            "<out>/{glm}/{folder}/figures/{group}_desc-SingletrialBetas_carpet.png",
            caption="../report/carpet.rst",
            category="Single-trial fits",
            subcategory="{folder}",
            labels={"fit": "{glm}", "figure": "betas"},
        ),
        components=report(
            "<out>/{glm}/{folder}/figures/{group}_desc-GLMsingle_components.png",
            caption="../report/components.rst",
            category="Single-trial fits",
            subcategory="{folder}",
            labels={"fit": "{glm}", "figure": "number of noise components"},
        ),
        maps=report(
            "<out>/{glm}/{folder}/figures/{group}_desc-GLMsingle_maps.png",
            caption="../report/singletrial.rst",
            category="Single-trial fits",
            subcategory="{folder}",
            labels={"fit": "{glm}", "figure": "R2, response and ridge maps"},
        ),
    log:
        "<logs>/singletrial/{glm}/{folder}/{group}.log",
    benchmark:
        "<benchmarks>/singletrial/{glm}/{folder}/{group}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=memory(0.43, 330),
        runtime=minutes(120),
    params:
        runs=by(parameters.of_group, *FIT_KEYS),
        design=config["design"],
        settings=chosen("glm", *(k for k in config["glm"] if k not in NOT_OPTIONS)),
        confounds=config["glm"]["confounds"],
        further=[m for m in FURTHER_MODELS if m in config["glm"]["write"]],
        seed=config["seed"],
        reference=spatial_reference,
        images=fitted_images,
        code=code("singletrial_fit"),
    script:
        "../scripts/singletrial_fit.py"


rule singletrial_subject:
    input:
        models=of_subject_task(rules.singletrial.output.model),
        trials=of_subject_task(rules.singletrial.output.trials),
    output:
        model="<out>/{glm}/{sub}/{subtask}_space-<space>_desc-SingletrialBetas_model.h5",
        trials="<out>/{glm}/{sub}/{subtask}_desc-SingletrialBetas_trials.tsv",
    log:
        "<logs>/singletrial/{glm}/{sub}/{subtask}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 1000),
        runtime=minutes(10),
    params:
        code=code("singletrial_subject"),
    script:
        "../scripts/singletrial_subject.py"
