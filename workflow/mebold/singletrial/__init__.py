"""Single-trial fits (GLMsingle).

Read session (runs and design), fit (the entry), stages (the order of the passes), then on_off,
hrf_search, components, badness, threshold and final; ridge, blocks and stream are their tools.
carried and regressors bring columns of events and confounds, contents and derived say what is made
of a fit; as_acquired answers questions about a design; upstream runs the original program
instead.
"""
