"""Noise ceilings of regions: n voxels, median, mean and 90th percentile per map."""


rule rois:
    input:
        maps=roi_maps,
        masks=roi_masks,
        listed=roi_files,
        grid=of_subject(rules.grid.output.series_mask),
        dseg=of_subject(rules.grid.output.dseg),
    output:
        table="<out>/rois/{sub}/{subtask}_desc-Noiseceiling_rois.tsv",
    log:
        "<logs>/rois/{sub}/{subtask}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 2000),
        runtime=minutes(20),
    params:
        regions=by(regions_of),
        code=code("rois_table"),
    script:
        "../scripts/rois_table.py"
