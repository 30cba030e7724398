"""Slice timing, then the one interpolation of every echo: motion, warps, distortion and alignment composed."""

SERIES_KEYS = (
    *("tr", "tr_out", "slice_timing", "slice_encoding_direction"),
    *("direction", "readout_s"),
)


rule series:
    input:
        bold=echoes_of_level,
        motion=run_motion,
        volumes=rules.hmc.output.volumes,
        boldref=rules.hmc.output.boldref,
        xfm=rules.coreg_run.output.xfm,
        field=run_field,
        change=run_field_change,
        warp=run_warp,
        mask=of_subject(rules.grid.output.series_mask),
        displacement=grid_displacement,
    output:
        store=kept_series("<work>/series/{folder}/{stem}_desc-{thermal}_series.npy"),
        summary="<work>/series/{folder}/{stem}_desc-{thermal}_summary.npz",
        coverage="<work>/series/{folder}/{stem}_desc-{thermal}_coverage.npy",
        samples="<work>/series/{folder}/{stem}_desc-{thermal}_samples.json",
    log:
        "<logs>/series/{folder}/{stem}_{thermal}.log",
    benchmark:
        "<benchmarks>/series/{folder}/{stem}_{thermal}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=memory(
            3.4 if config["sdc"] in ("static", "none") else 10, 500, output=1.65
        ),
        runtime=minutes(30),
    params:
        run=by(parameters.of_run, *SERIES_KEYS),
        method=config["slice_timing"]["method"].replace("none", "cubic"),
        least_coverage=config["output"]["least_coverage"],
        jacobian=config["output"]["jacobian"],
        code=code("resample_series"),
    script:
        "../scripts/resample_series.py"
