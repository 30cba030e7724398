"""Maps of the fits on cortical surfaces, beside those in the volume."""


rule surface_maps:
    input:
        unpack(surfaces_of_maps),
        map="<out>/{glm}/{sub}/{place}_space-<space>_{what}_statmap.nii.gz",
        mask=of_subject(rules.grid.output.series_mask),
        brain=of_subject(rules.grid.output.mask),
    output:
        left="<out>/{glm}/{sub}/{place}_hemi-L_space-{surface}_{what}_statmap.func.gii",
        right="<out>/{glm}/{sub}/{place}_hemi-R_space-{surface}_{what}_statmap.func.gii",
    log:
        "<logs>/surface_maps/{glm}/{sub}/{place}_{surface}_{what}.log",
    wildcard_constraints:
        place=".+",
        surface="fsnative|fsaverage5?",
        what="(?!stat-effect_desc-MeanBetas)(stat-[A-Za-z0-9]+_)?desc-[A-Za-z0-9]+",
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(0, 2000),
        runtime=minutes(10),
    params:
        surface={
            key: config["rois"]["surface"][key] for key in ("depths", "least_inside")
        },
        zero_is_unknown=False,
        code=code("surface_maps"),
    script:
        "../scripts/surface_maps.py"


# Of a series of betas the mean over its trials.
use rule surface_maps as surface_betas with:
    input:
        unpack(surfaces_of_maps),
        map="<out>/{glm}/{sub}/{place}_space-<space>_stat-effect_desc-SingletrialBetas_statmap.nii.gz",
        mask=of_subject(rules.grid.output.series_mask),
        brain=of_subject(rules.grid.output.mask),
    output:
        left="<out>/{glm}/{sub}/{place}_hemi-L_space-{surface}_stat-effect_desc-MeanBetas_statmap.func.gii",
        right="<out>/{glm}/{sub}/{place}_hemi-R_space-{surface}_stat-effect_desc-MeanBetas_statmap.func.gii",
    log:
        "<logs>/surface_maps/{glm}/{sub}/{place}_{surface}_MeanBetas.log",
    wildcard_constraints:
        place=".+",
        surface="fsnative|fsaverage5?",


use rule surface_maps as surface_t2star with:
    input:
        unpack(surfaces_of_maps),
        map="<out>/preproc/{sub}/{place}_space-<space>_T2starmap.nii.gz",
        mask=of_subject(rules.grid.output.series_mask),
        brain=of_subject(rules.grid.output.mask),
    output:
        left="<out>/preproc/{sub}/{place}_hemi-L_space-{surface}_T2starmap.func.gii",
        right="<out>/preproc/{sub}/{place}_hemi-R_space-{surface}_T2starmap.func.gii",
    log:
        "<logs>/surface_t2star/{sub}/{place}_{surface}_T2starmap.log",
    wildcard_constraints:
        place=".+",
        surface="fsnative|fsaverage5?",
    params:
        surface={
            key: config["rois"]["surface"][key] for key in ("depths", "least_inside")
        },
        zero_is_unknown=True,
        code=code("surface_maps"),


rule surface_figure:
    input:
        left="<out>/{glm}/{sub}/{subtask}_hemi-L_space-fsaverage5_desc-NoiseceilingAllrep_statmap.func.gii",
        right="<out>/{glm}/{sub}/{subtask}_hemi-R_space-fsaverage5_desc-NoiseceilingAllrep_statmap.func.gii",
    output:
        report(
            "<out>/{glm}/{sub}/figures/{subtask}_space-fsaverage5_desc-NoiseceilingAllrep_statmap.png",
            caption="../report/surface.rst",
            category="Noise ceilings",
            labels={"fit": "{glm}", "figure": "noise ceiling of {sub} on fsaverage5"},
        ),
    log:
        "<logs>/surface_figure/{glm}/{sub}/{subtask}.log",
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(0, 2000),
        runtime=minutes(10),
    params:
        code=code("surface_figure"),
    script:
        "../scripts/surface_figure.py"
