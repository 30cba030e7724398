"""The one interpolation. Read run (the entry), interpolate, then slice_timing."""
