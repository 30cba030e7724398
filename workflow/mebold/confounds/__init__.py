"""Confound regressors. Read table (the entry), then regions, dvars, compcor, drifts."""
