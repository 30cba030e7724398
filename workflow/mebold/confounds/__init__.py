"""Confound regressors. Read table (the entry), then dvars, compcor and drifts."""
