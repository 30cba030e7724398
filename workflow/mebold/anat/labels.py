"""Labels of the tissue classes: the order of the table of tissues in BIDS."""

#: Tissue classes in the order of their labels 1, 2, 3 and of their probability maps.
TISSUES = ("GM", "WM", "CSF")

GM, WM, CSF = 1, 2, 3
