"""Plan of the stages, and the description files that make each output folder a BIDS dataset."""


rule plan:
    output:
        table="<out>/plan.tsv",
        text="<out>/plan.txt",
    log:
        "<logs>/plan.log",
    localrule: True
    conda:
        "../../envs/core.yaml"
    params:
        plan=whole_plan().to_dict("list"),
        findings=found.found(),
        code=code("inventory_plan"),
    script:
        "../scripts/inventory_plan.py"


rule datasets:
    output:
        expand("<out>/{name}/dataset_description.json", name=products.dataset_names()),
        expand("<out>/{name}/descriptions.tsv", name=products.dataset_names()),
        expand("<out>/{name}/.bidsignore", name=products.dataset_names()),
        expand("<out>/{name}/README.md", name=products.dataset_names()),
    log:
        "<logs>/datasets.log",
    localrule: True
    conda:
        "../../envs/core.yaml"
    params:
        names=products.dataset_names(),
        parts=list(config["noise_ceiling"]["groups"]),
        bids_dir=config["bids_dir"],
        code=code("inventory_datasets"),
    script:
        "../scripts/inventory_datasets.py"
