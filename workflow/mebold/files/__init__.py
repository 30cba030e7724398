"""The only place of paths.

Read atomic, then images, transforms and tables, then series, stream and model; bids holds
names, metadata, datasets and provenance what stands beside the data.
"""
