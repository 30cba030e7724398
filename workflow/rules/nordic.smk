"""Thermal noise removal of all echoes of a run, before anything interpolates."""


rule nordic:
    input:
        magnitude=raw_magnitude,
        phase=raw_phase,
        volumes=rules.hmc.output.volumes,
    output:
        series=temp(directory("<work>/nordic/{folder}/{stem}")),
        gfactor="<out>/nordic/{folder}/func/{stem}_desc-gfactor_boldmap.nii.gz",
        components="<out>/nordic/{folder}/func/{stem}_desc-componentsRemoved_boldmap.nii.gz",
        residual="<out>/nordic/{folder}/func/{stem}_desc-residualSD_boldmap.nii.gz",
        info="<out>/nordic/{folder}/func/{stem}_desc-nordic_bold.json",
        figure=report(
            "<out>/nordic/{folder}/figures/{stem}_desc-nordic_bold.png",
            caption="../report/nordic.rst",
            category="NORDIC",
            subcategory="{folder}",
            labels={"run": "{stem}", "figure": "thermal noise removal"},
        ),
    log:
        "<logs>/nordic/{folder}/{stem}.log",
    benchmark:
        "<benchmarks>/nordic/{folder}/{stem}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 4
    resources:
        mem_mb=memory(12, 1500),
        runtime=minutes(60),
    params:
        run=runs.run_parameters,
        settings=config["nordic"],
        phase_range=config["fmap"]["phase_range"],
        seed=config["seed"],
        code=code("nordic_denoise"),
    script:
        "../scripts/nordic_denoise.py"
