"""The one interpolation. Read run (the entry), then slice_timing."""
