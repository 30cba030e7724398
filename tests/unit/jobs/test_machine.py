"""How much memory jobs can have."""

import re
from pathlib import Path

from mebold.jobs.machine import memory_mb


def test_memory_is_that_of_the_machine_or_of_the_container(tmp_path):
    total = re.search(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text())
    assert memory_mb(bounds=()) == int(total[1]) * 1024 // 10**6
    (tmp_path / "version_1").write_text("1500000000\n")
    (tmp_path / "version_2").write_text("max\n")
    bounds = tmp_path / "version_2", tmp_path / "absent", tmp_path / "version_1"
    assert memory_mb(bounds=bounds[:2]) == memory_mb(bounds=())
    assert memory_mb(bounds=bounds) == 1500
