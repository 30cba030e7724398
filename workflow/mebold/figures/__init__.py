"""Every figure, one file per stage. Read style, slices and rows first, then any stage."""
