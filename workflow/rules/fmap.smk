"""B0 field in Hz from the fieldmaps of a session."""


rule fmap:
    input:
        raw_fieldmaps,
    output:
        field="<out>/preproc/{folder}/fmap/{ses}_desc-preproc_fieldmap.nii.gz",
        magnitude="<out>/preproc/{folder}/fmap/{ses}_desc-preproc_magnitude.nii.gz",
        info="<out>/preproc/{folder}/fmap/{ses}_desc-preproc_fieldmap.json",
    log:
        "<logs>/fmap/{folder}/{ses}.log",
    benchmark:
        "<benchmarks>/fmap/{folder}/{ses}.tsv"
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(0, 750),
        runtime=minutes(20),
    params:
        rows=by(parameters.of_fieldmaps),
        settings=chosen(
            "fmap", "phase_range", "curvature", "steepest_hz_mm", "pepolar_stiffness"
        ),
        code=code("fmap_field"),
    script:
        "../scripts/fmap_field.py"
