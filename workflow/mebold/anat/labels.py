"""Labels of the tissue classes, as numbers and as words."""

#: Tissue classes in the order of their labels 1, 2, 3 and of their probability maps.
TISSUES = ("CSF", "GM", "WM")

CSF, GM, WM = 1, 2, 3

#: ``LabelMap`` of the sidecar of a segmentation.
LABEL_MAP = {str(label): name for label, name in enumerate(TISSUES, start=1)}
