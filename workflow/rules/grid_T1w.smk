"""Output grid of a subject: the T1w frame at the resolution of the BOLD."""


rule grid:
    input:
        t1w=rules.anat.output.t1w,
        mask=rules.anat.output.mask,
        dseg=rules.anat.output.dseg,
    output:
        underlay="<out>/anatomical/{sub}/anat/{sub}_space-T1w_res-bold_desc-preproc_T1w.nii.gz",
        mask="<out>/anatomical/{sub}/anat/{sub}_space-T1w_res-bold_desc-brain_mask.nii.gz",
        series_mask="<out>/anatomical/{sub}/anat/{sub}_space-T1w_res-bold_desc-dilated_mask.nii.gz",
        dseg="<out>/anatomical/{sub}/anat/{sub}_space-T1w_res-bold_dseg.nii.gz",
        labels="<out>/anatomical/{sub}/anat/{sub}_space-T1w_res-bold_dseg.tsv",
    log:
        "<logs>/grid/{sub}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 700),
        runtime=minutes(10),
    params:
        voxel_mm=by(parameters.output_voxel_mm),
        dilation=config["output"]["mask_dilation_voxels"],
        code=code("grid_T1w"),
    script:
        "../scripts/grid_T1w.py"
