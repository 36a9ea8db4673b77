"""How a program ends that was told to."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, time
from tepat_local.processes import end_on_sigterm

class Thing:
    def __del__(self):
        {first}

def told():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.01)

end_on_sigterm()
try:
    Thing()
    {then}
    time.sleep(30)
finally:
    print("cleared away")
"""


@pytest.mark.parametrize(("first", "then"), [("pass", "told()"), ("told()", "pass")])
def test_sigterm_ends_a_program_wherever_it_comes(first: str, then: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(first=first, then=then)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout) == (143, "cleared away\n")
