# SPDX-License-Identifier: GPL-2.0
"""dsm-prof: where the time of remote faults goes, from the traces of several nodes."""


class ProfError(Exception):
    """For the user, without a traceback."""
