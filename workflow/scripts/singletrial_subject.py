"""Put the single trials of all sessions of a subject into one file, without a copy of the betas."""

from mebold.files import bids, model, tables
from mebold.jobs import sidecar
from mebold.jobs.script import job
from mebold.singletrial import sessions

with job(snakemake):
    files, out = snakemake.input, snakemake.output
    about = sidecar.Sidecar(snakemake, packages=["numpy", "h5py"])
    with model.open_models(files.models) as opened:
        trials = sessions.joined([model.trials_of(one) for one in opened])
    told = about(Trials=len(trials), Sessions=len(files.models))
    described = [tables.read_json(tables.sidecar(path)) for path in files.trials]
    # Sidecars first: with all of its outputs a job counts as done.
    tables.write_json(tables.sidecar(out.trials), bids.described(sessions.columns(described)))
    tables.write_json(tables.sidecar(out.model), told)
    model.join(out.model, files.models, trials=trials, about=told)
    tables.write_tsv(out.trials, trials)
