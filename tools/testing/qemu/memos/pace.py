# SPDX-License-Identifier: GPL-2.0
"""A kernel full of checkers is several times slower: tests do less, and may take longer."""
import os

WORK_PERCENT, PATIENCE = 10, 10


class Pace:
    """
    work: DSM_SCALE of the tests, percent of their loops; the environment's goes first
    patience: what every bound on time is multiplied by
    """

    def __init__(self) -> None:
        self.set("stock")

    def set(self, variant: str) -> None:
        self.slow = variant.startswith("debug")
        self.work = int(os.environ.get("DSM_SCALE", WORK_PERCENT if self.slow else 100))
        self.patience = PATIENCE if self.slow else 1

    def env(self) -> dict[str, str]:
        return {"DSM_SCALE": str(self.work), "DSM_PATIENCE": str(self.patience)}


# All clusters of a process run one kernel.
pace = Pace()
