"""Noise ceilings of a session, and of a subject over its sessions.

Maps that not all trials allow (`products.ceilings`) are written by jobs of their own.
"""


rule noiseceiling_session:
    input:
        model=rules.singletrial.output.model,
        trials=rules.singletrial.output.trials,
        coverage=rules.singletrial.output.coverage,
        mask=of_subject(rules.grid.output.series_mask),
        underlay=of_subject(rules.grid.output.underlay),
    output:
        nc="<out>/{glm}/{folder}/func/{group}_space-<space>_desc-Noiseceiling_statmap.nii.gz",
        ncsnr="<out>/{glm}/{folder}/func/{group}_space-<space>_desc-Ncsnr_statmap.nii.gz",
        significant="<out>/{glm}/{folder}/func/{group}_space-<space>_desc-NoiseceilingFDR_mask.nii.gz",
        parts="<work>/noiseceiling/session/{glm}/{folder}/{group}.npz",
        figure=report(
            "<out>/{glm}/{folder}/figures/{group}_desc-Noiseceiling_statmap.png",
            caption="../report/noiseceiling.rst",
            category="Noise ceilings",
            subcategory="{folder}",
            labels={"fit": "{glm}", "figure": "noise ceiling of the session"},
        ),
    log:
        "<logs>/noiseceiling/session/{glm}/{folder}/{group}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 500),
        runtime=minutes(30),
    params:
        zscore=config["noise_ceiling"]["session_zscore"],
        null=chosen("noise_ceiling", "permutations", "false_discovery_rate"),
        seed=config["seed"],
        reference=spatial_reference,
        code=code("noiseceiling_session"),
    script:
        "../scripts/noiseceiling_session.py"


rule noiseceiling_subject:
    input:
        models=of_subject_task(rules.singletrial.output.model),
        trials=of_subject_task(rules.singletrial.output.trials),
        mask=of_subject(rules.grid.output.series_mask),
        underlay=of_subject(rules.grid.output.underlay),
    output:
        nc="<out>/{glm}/{sub}/{subtask}_space-<space>_desc-NoiseceilingAllrep_statmap.nii.gz",
        coverage="<out>/{glm}/{sub}/{subtask}_space-<space>_desc-coverage_mask.nii.gz",
        ncsnr="<out>/{glm}/{sub}/{subtask}_space-<space>_desc-Ncsnr_statmap.nii.gz",
        significant="<out>/{glm}/{sub}/{subtask}_space-<space>_desc-NoiseceilingAllrepFDR_mask.nii.gz",
        parts="<work>/noiseceiling/subject/{glm}/{sub}/{subtask}.npz",
        r2mean="<out>/{glm}/{sub}/{subtask}_space-<space>_stat-rsquare_desc-R2mean_statmap.nii.gz",
        r2mask="<out>/{glm}/{sub}/{subtask}_space-<space>_desc-meanR2gt15mask_mask.nii.gz",
        summary="<out>/{glm}/{sub}/{subtask}_desc-GLMsingle_summary.json",
        figure=report(
            "<out>/{glm}/{sub}/figures/{subtask}_desc-NoiseceilingAllrep_statmap.png",
            caption="../report/noiseceiling.rst",
            category="Noise ceilings",
            labels={"fit": "{glm}", "figure": "noise ceiling of {sub}, all sessions"},
        ),
    log:
        "<logs>/noiseceiling/subject/{glm}/{sub}/{subtask}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 500),
        runtime=minutes(120),
    params:
        settings=chosen("noise_ceiling", "groups", "subject_zscore"),
        null=chosen("noise_ceiling", "permutations", "false_discovery_rate"),
        seed=config["seed"],
        reference=spatial_reference,
        code=code("noiseceiling_subject"),
    script:
        "../scripts/noiseceiling_subject.py"


rule noiseceiling_session_part:
    input:
        parts=rules.noiseceiling_session.output.parts,
        mask=of_subject(rules.grid.output.series_mask),
    output:
        nc="<out>/{glm}/{folder}/func/{group}_space-<space>_desc-Noiseceiling{part}_statmap.nii.gz",
        significant="<out>/{glm}/{folder}/func/{group}_space-<space>_desc-Noiseceiling{part}FDR_mask.nii.gz",
    log:
        "<logs>/noiseceiling/session/{glm}/{folder}/{group}_{part}.log",
    wildcard_constraints:
        part="DifferentRuns",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 500),
        runtime=minutes(10),
    params:
        code=code("noiseceiling_part"),
    script:
        "../scripts/noiseceiling_part.py"


use rule noiseceiling_session_part as noiseceiling_subject_part with:
    input:
        parts=rules.noiseceiling_subject.output.parts,
        mask=of_subject(rules.grid.output.series_mask),
    output:
        nc="<out>/{glm}/{sub}/{subtask}_space-<space>_desc-Noiseceiling{part}_statmap.nii.gz",
        significant="<out>/{glm}/{sub}/{subtask}_space-<space>_desc-Noiseceiling{part}FDR_mask.nii.gz",
    log:
        "<logs>/noiseceiling/subject/{glm}/{sub}/{subtask}_{part}.log",
    wildcard_constraints:
        part="|".join([*config["noise_ceiling"]["groups"], "DifferentRuns"]),
