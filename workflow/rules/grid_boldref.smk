"""Output grid of a subject: that of the image of its reference run; a T1w is not needed."""


rule grid:
    input:
        unpack(anatomy_in_boldref),
        boldref=t1w_boldref,
        mask=reference_mask,
    output:
        underlay="<out>/preproc/{sub}/func/{sub}_space-boldref_desc-grid_boldref.nii.gz",
        mask="<out>/preproc/{sub}/func/{sub}_space-boldref_desc-brain_mask.nii.gz",
        series_mask="<out>/preproc/{sub}/func/{sub}_space-boldref_desc-dilated_mask.nii.gz",
        dseg="<out>/preproc/{sub}/func/{sub}_space-boldref_dseg.nii.gz",
        labels="<out>/preproc/{sub}/func/{sub}_space-boldref_dseg.tsv",
    log:
        "<logs>/grid/{sub}.log",
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(0, 700),
        runtime=minutes(10),
    params:
        voxel_mm=config["output"]["voxel_size_mm"],
        dilation=config["output"]["mask_dilation_voxels"],
        reference=spatial_reference,
        code=code("grid_boldref"),
    script:
        "../scripts/grid_boldref.py"
