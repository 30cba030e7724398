"""The 2 x 3 variants side by side: one region for all, metrics, bootstrap, figure.

Memory: measured peaks and their dependence on the session are in ../../benchmarks/RESOURCES.md.
"""

LIMIT_KEYS = "least_signal_kept", "most_smoothness_growth", "least_responsive_kept"


rule quality:
    input:
        series=group_series,
        samples=of_group_level(rules.series.output.samples),
        coverage=of_group_level(rules.series.output.coverage),
        events=group_events,
        mask=of_subject(rules.grid.output.series_mask),
        brain=of_subject(rules.grid.output.mask),
    output:
        "<work>/quality/{folder}/{group}_desc-{glm}_quality.npz",
    log:
        "<logs>/quality/{glm}/{folder}/{group}.log",
    benchmark:
        "<benchmarks>/quality/{glm}/{folder}/{group}.tsv"
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 500, run=1.5),
        runtime=minutes(30),
    params:
        runs=by(parameters.of_group, *FIT_KEYS),
        design=config["design"],
        correlation_s=config["visual_roi"]["correlation_s"],
        code=code("compare_quality"),
    script:
        "../scripts/compare_quality.py"


rule compare:
    input:
        models=of_group_variants(rules.singletrial.output.model),
        trials=of_group_variants(rules.singletrial.output.trials),
        summaries=of_group_variants(rules.singletrial.output.summary),
        quality=of_group_variants(rules.quality.output[0]),
        given=visual_roi_file,
        mask=of_subject(rules.grid.output.series_mask),
        brain=of_subject(rules.grid.output.mask),
        dseg=of_subject(rules.grid.output.dseg),
        underlay=of_subject(rules.grid.output.underlay),
    output:
        metrics="<out>/comparison/{folder}/func/{group}_desc-variants_metrics.tsv",
        paired="<out>/comparison/{folder}/func/{group}_desc-variants_differences.tsv",
        roi="<out>/comparison/{folder}/func/{group}_space-<space>_label-visual_mask.nii.gz",
        score="<out>/comparison/{folder}/func/{group}_space-<space>_desc-visualScore_statmap.nii.gz",
        figure=report(
            "<out>/comparison/{folder}/figures/{group}_label-visual_mask.png",
            caption="../report/visual_roi.rst",
            category="Comparison",
            labels={"session": "{folder}", "figure": "visually responsive voxels"},
        ),
    log:
        "<logs>/compare/{folder}/{group}.log",
    benchmark:
        "<benchmarks>/compare/{folder}/{group}.tsv"
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 1200, run=0.9 * config["compare"]["n_bootstrap"] / 1000),
        runtime=minutes(60),
    params:
        variants=by(products.variants),
        run=by(parameters.of_first, "subject", "session", "task", "acquisition"),
        roi=chosen("visual_roi", "source", "threshold"),
        settings=chosen("compare", "baseline", "n_bootstrap"),
        primary=config["primary_variant"],
        zscore=config["noise_ceiling"]["session_zscore"],
        seed=config["seed"],
        reference=spatial_reference,
        code=code("compare_session"),
    script:
        "../scripts/compare_session.py"


rule compare_group:
    input:
        metrics=of_compared_groups(rules.compare.output.metrics),
        paired=of_compared_groups(rules.compare.output.paired),
    output:
        metrics="<out>/comparison/desc-variants_metrics.tsv",
        paired="<out>/comparison/desc-variants_differences.tsv",
        subjects="<out>/comparison/desc-variants_group.tsv",
    log:
        "<logs>/compare_group.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 400),
        runtime=minutes(20),
    params:
        references=[config["compare"]["baseline"], config["primary_variant"]],
        others={kind: finished_elsewhere(kind) for kind in ("metrics", "differences")},
        code=code("compare_group"),
    script:
        "../scripts/compare_group.py"


rule compare_task:
    input:
        metrics=rules.compare_group.output.metrics,
        paired=rules.compare_group.output.paired,
        subjects=rules.compare_group.output.subjects,
        regions=regions_of_task,
    output:
        text=report(
            "<out>/comparison/{task}_desc-variants_summary.md",
            caption="../report/comparison_text.rst",
            category="Comparison",
            labels={"session": "all, {task}", "figure": "in words"},
        ),
        advice="<out>/comparison/{task}_desc-variants_advice.json",
        svg="<out>/comparison/figures/{task}_desc-variants_comparison.svg",
        png=report(
            "<out>/comparison/figures/{task}_desc-variants_comparison.png",
            caption="../report/comparison.rst",
            category="Comparison",
            labels={"session": "all, {task}", "figure": "which variant"},
        ),
        others=report(
            "<out>/comparison/figures/{task}_desc-variants_metrics.png",
            caption="../report/variant_metrics.rst",
            category="Comparison",
            labels={"session": "all, {task}", "figure": "all metrics of the variants"},
        ),
    log:
        "<logs>/compare_task/{task}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 500),
        runtime=minutes(20),
    params:
        baseline=config["compare"]["baseline"],
        limits=chosen("compare", *LIMIT_KEYS),
        primary=config["primary_variant"],
        code=code("compare_task"),
    script:
        "../scripts/compare_task.py"
