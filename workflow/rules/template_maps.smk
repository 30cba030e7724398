"""Maps of the fits in a template, beside those in the space of the T1w."""


rule template_maps:
    input:
        unpack(template_files),
        map="<out>/{glm}/{sub}/{place}_space-<space>_{what}_statmap.nii.gz",
        mask=of_subject(rules.grid.output.series_mask),
        to_t1w=of_subject(rules.template.output.to_t1w),
    output:
        "<out>/{glm}/{sub}/{place}_space-<template>_{what}_statmap.nii.gz",
    log:
        "<logs>/template_maps/{glm}/{sub}/{place}_{what}.log",
    wildcard_constraints:
        place=".+",
        what="(stat-[A-Za-z0-9]+_)?desc-[A-Za-z0-9]+",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 2000),
        runtime=minutes(10),
    params:
        reference=template_reference,
        code=code("template_maps"),
    script:
        "../scripts/template_maps.py"
