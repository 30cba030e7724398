"""The one interpolation. Read run (the entry), interpolate, slice_timing, slice_clock, samples."""
