"""How long tests wait on a machine that does other things."""

import os


def patience():
    """How many times longer things take than on an idle machine: processes that want to run for each processor."""
    return min(16, max(1, os.getloadavg()[0] / (os.cpu_count() or 1)))
