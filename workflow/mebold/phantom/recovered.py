"""One quantity that the workflow recovered, and how near to the truth it must be."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Recovered:
    """One quantity: its value, the limit it must not pass, and on which side."""

    name: str
    value: float
    unit: str
    limit: float
    at_least: bool = False

    @property
    def ok(self) -> bool:
        """Whether the value keeps its limit; a missing value does not."""
        if not np.isfinite(self.value):
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self):
        sign = ">=" if self.at_least else "<="
        mark = "ok  " if self.ok else "FAIL"
        value = f"{self.value:8.3f} {self.unit}"
        return f"{mark}  {self.name:<58} {value:<14} ({sign} {self.limit:.3g})"
