"""Places at which a test may have the process killed, to see that nothing is lost there.

``TEPAT_FAILPOINT=<name>:<n>`` kills the process, as ``kill -9`` would, the n-th time it passes the place of that
name. Without the variable a place costs one look at a global.
"""

import os
import signal

_name, _, _count = os.environ.get("TEPAT_FAILPOINT", "").partition(":")
_left = int(_count or 1) if _name else 0


def reach(name: str) -> None:
    """The process passes the place ``name``."""
    global _left  # noqa: PLW0603 – a process dies once
    if _name == name:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
