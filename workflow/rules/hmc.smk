"""Reference image and head motion of a run, from the untouched data of one echo."""

# Keys of `hmc` that every registration of EPI images uses.
SMOOTHING = ("fwhm_mm", "fwhm_voxels", "coarse_mm")
TRUST = ("doubtful_drop", "least_overlap", "most_outside")
STEADY = ("non_steady_state", "least_excess")


rule hmc:
    input:
        bold=raw_magnitude,
        sbref=raw_sbref,
        motion_sbref=raw_motion_sbref,
    output:
        boldref="<out>/preproc/{folder}/func/{stem}_desc-hmc_boldref.nii.gz",
        mask="<out>/preproc/{folder}/func/{stem}_desc-brain_mask.nii.gz",
        motion="<out>/preproc/{folder}/func/{stem}_from-orig_to-boldref_mode-image_desc-hmc_xfm.txt",
        table="<out>/preproc/{folder}/func/{stem}_desc-native_motion.tsv",
        volumes="<out>/preproc/{folder}/func/{stem}_desc-native_motion.json",
        figure="<out>/preproc/{folder}/figures/{stem}_desc-motion_bold.png",
    log:
        "<logs>/hmc/{folder}/{stem}.log",
    benchmark:
        "<benchmarks>/hmc/{folder}/{stem}.tsv"
    conda:
        "../../envs/ants.yaml"
    resources:
        mem_mb=memory(2.2, 500),
        runtime=minutes(20),
    params:
        run=by(parameters.of_run, "stem", "tr", "hmc_echo", "reference_echo"),
        settings=chosen("hmc", "outlier_mm", *TRUST, *STEADY, *SMOOTHING),
        limits=chosen("coreg", "least_correlation"),
        noise_volumes=config["nordic"]["noise_volumes"],
        code=code("hmc_estimate"),
    script:
        "../scripts/hmc_estimate.py"
