"""`tepat up` with services that need no more than the standard library: `up.py DIR`."""

import sys
from pathlib import Path

from tepat_contracts.topics import SERVICES
from tepat_local.stack import Stack, up

command = [sys.executable, str(Path(__file__).with_name("service.py"))]
sys.exit(up(Stack(Path(sys.argv[1]), commands=dict.fromkeys(SERVICES, command))))
