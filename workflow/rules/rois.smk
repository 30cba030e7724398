"""Regions: given masks on the output grid, and tables of noise ceilings in all regions."""


rule localizer_glm:
    input:
        bold=of_localizer_runs("bold"),
        coverage=of_localizer_runs("series_mask"),
        confounds=of_localizer_runs("table"),
        events=localizer_events,
        mask=of_subject(rules.grid.output.series_mask),
    output:
        estimates="<work>/localizers/{folder}/{group}.npz",
        table="<out>/localizers/{folder}/func/{group}_desc-localizer_contrasts.tsv",
        info="<out>/localizers/{folder}/func/{group}_desc-localizer_glm.json",
    log:
        "<logs>/localizer_glm/{folder}/{group}.log",
    conda:
        "../../envs/confounds.yaml"
    resources:
        mem_mb=memory(0, 2000, output=2),
        runtime=minutes(60),
    params:
        runs=by(localizer_runs),
        task=by(localizers.settings, "column", "baseline", "conditions"),
        contrasts=by(localizers.contrasts),
        settings={
            key: config["rois"]["localizer"][key]
            for key in ("response", "noise", "drift", "cut_off_s", "confounds")
        },
        space=runs.space,
        reference=spatial_reference,
        code=code("localizer_glm"),
    script:
        "../scripts/localizer_glm.py"


rule localizer_maps:
    input:
        estimates=of_localizer_sessions(rules.localizer_glm.output.estimates),
        info=of_localizer_sessions(rules.localizer_glm.output.info),
        mask=of_subject(rules.grid.output.series_mask),
        underlay=of_subject(rules.grid.output.underlay),
    output:
        maps="<work>/localizers/{sub}/{subtask}_contrasts.npz",
        table="<out>/localizers/{sub}/{subtask}_desc-localizer_contrasts.tsv",
        figure=report(
            "<out>/localizers/{sub}/figures/{subtask}_stat-z_statmap.png",
            caption="../report/localizer.rst",
            category="Regions",
            labels={"fit": "{subtask}", "figure": "contrasts of the localizer"},
        ),
    log:
        "<logs>/localizer_maps/{sub}/{subtask}.log",
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(0, 3000),
        runtime=minutes(20),
    params:
        space=runs.space,
        reference=spatial_reference,
        code=code("localizer_maps"),
    script:
        "../scripts/localizer_maps.py"


rule roi_masks:
    input:
        unpack(to_other_spaces),
        given=region_files,
        contrasts=contrast_files,
        mask=of_subject(rules.grid.output.series_mask),
        white=surfaces_of_regions("white"),
        pial=surfaces_of_regions("pial"),
        brain=of_subject(rules.grid.output.mask),
    output:
        table="<out>/rois/{sub}/{sub}_space-<space>_desc-regions_rois.tsv",
        masks="<work>/rois/{sub}.npz",
    log:
        "<logs>/roi_masks/{sub}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 3000),
        runtime=minutes(20),
    params:
        regions=by(given_regions),
        localizers=by(found_in_contrasts),
        settings=chosen("rois", "expressions", "missing", "least_inside"),
        later=by(later_names),
        surface={
            key: config["rois"]["surface"][key]
            for key in ("least_fill", "least_inside", "benson")
        },
        space=runs.space,
        older=by(older_masks),
        reference=spatial_reference,
        code=code("rois_masks"),
    script:
        "../scripts/rois_masks.py"


rule rois:
    input:
        maps=roi_maps,
        models=of_roi_fits(rules.singletrial.output.model),
        trials=of_roi_fits(rules.singletrial.output.trials),
        nc=of_primary(rules.noiseceiling_subject.output.nc),
        significant=of_primary(rules.noiseceiling_subject.output.significant),
        r2=of_primary(rules.noiseceiling_subject.output.r2mean),
        visual=of_own_comparisons(rules.compare.output.roi),
        score=of_own_comparisons(rules.compare.output.score),
        metrics=of_own_comparisons(rules.compare.output.metrics),
        given=given_masks,
        grid=of_subject(rules.grid.output.series_mask),
        brain=of_subject(rules.grid.output.mask),
        dseg=of_subject(rules.grid.output.dseg),
        underlay=of_subject(rules.grid.output.underlay),
    output:
        table="<out>/rois/{sub}/{subtask}_desc-Noiseceiling_rois.tsv",
        ceiling="<out>/rois/{sub}/{subtask}_space-<space>_desc-Noiseceiling_statmap.nii.gz",
        bars=report(
            "<out>/rois/{sub}/figures/{subtask}_desc-Noiseceiling_rois.png",
            caption="../report/rois.rst",
            category="Noise ceilings",
            labels={"fit": "primary", "figure": "regions of {sub}"},
        ),
        mosaic=report(
            "<out>/rois/{sub}/figures/{subtask}_desc-regions_rois.png",
            caption="../report/rois_mosaic.rst",
            category="Noise ceilings",
            labels={"fit": "primary", "figure": "regions of {sub} on T1w"},
        ),
    log:
        "<logs>/rois/{sub}/{subtask}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 1000),
        runtime=minutes(60),
    params:
        visual=by(visual_names),
        settings=chosen("rois", *ROI_KEYS, *TABLE_KEYS),
        primary=lambda wildcards: primary_fit(wildcards.subtask),
        zscore={
            level: config["noise_ceiling"][f"{level}_zscore"]
            for level in ("session", "subject")
        },
        groups=config["noise_ceiling"]["groups"],
        space=runs.space,
        seed=config["seed"],
        reference=spatial_reference,
        code=code("rois_table"),
    script:
        "../scripts/rois_table.py"
