"""The short name of a case: what people say over the telephone and type into a command.

Invariant: it is made of the overlap's id alone, so that it names no person and every service makes the same.
"""

from base64 import b32decode, b32encode
from binascii import Error
from typing import Final
from uuid import UUID

LETTERS: Final = 8
BITS: Final = LETTERS * 5


def case_code(overlap_id: UUID) -> str:
    """Eight letters and digits: the first 40 bits of the id. Two of a million cases may share one."""
    return b32encode(overlap_id.bytes)[:LETTERS].decode()


def ids_of(code: str) -> tuple[UUID, UUID] | None:
    """The least and the greatest id that a case of this code may have, its letters large or small; None: no code."""
    try:
        first = int.from_bytes(b32decode(code, casefold=True)) if len(code) == LETTERS else None
    except (Error, ValueError):
        return None
    if first is None:
        return None
    rest = 128 - BITS
    return UUID(int=first << rest), UUID(int=(first << rest) + (1 << rest) - 1)
