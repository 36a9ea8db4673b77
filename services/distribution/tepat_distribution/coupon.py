"""What is printed on a coupon: signed, short enough to be read out, and telling a slip of the pen from a forgery.

Sixteen characters of Crockford's base 32 (no I, L, O or U): five for the place on the round's list, nine of
HMAC-SHA-256 over round and place, two that check the others.

Invariants
- Without the key nobody makes a code that counts: one guess in 2⁴⁵ does, for one place of one round.
- One character mistyped, or two that changed places, never make another code that looks as printed: it is told as
  mistyped. What looks as printed and was not signed for this round is told as forged.
- No code is stored: it is made anew to be printed, and to be compared.
"""

import hmac
from hashlib import sha256
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE: Final = {letter: value for value, letter in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_PLACE, _SIGNED, _CHECK = 5, 9, 2
_LENGTH: Final = _PLACE + _SIGNED + _CHECK
_PRIME: Final = 1021
"""The greatest below 32²; 32 is of order 68 in its field, so no two places weigh the same."""
MOST_PLACES: Final = 32**_PLACE - 1


class Mistyped(Exception):
    """It is not written as any coupon was printed."""


class Forged(Exception):
    """It looks like a coupon, and is none of this round."""


def key(secret: bytes) -> bytes:
    """The key that coupons are signed with, made of the province's secret and telling nothing of it."""
    return sha256(b"tepat coupon" + secret).digest()


def code(key: bytes, round_: str, place: int) -> str:
    """What is printed for a place from 1 to `MOST_PLACES`: `0001-K7QZ-…`."""
    told = _digits(place, _PLACE) + _signed(key, round_, place)
    told += _digits(_value(told) % _PRIME, _CHECK)
    return "-".join(told[at : at + 4] for at in range(0, _LENGTH, 4))


def is_written(text: str) -> bool:
    """Whether it is written as coupons are printed, whoever signed it."""
    try:
        place_of(b"", "", text)
    except Mistyped:
        return False
    except Forged:
        pass
    return True


def place_of(key: bytes, round_: str, text: str) -> int:
    """The place a code was printed for, however it is spaced and in whichever case. Raises Mistyped, Forged."""
    told = "".join(text.upper().replace("-", "").split())
    if len(told) != _LENGTH or not _VALUE.keys() >= {*told}:
        raise Mistyped
    told = "".join(_ALPHABET[_VALUE[letter]] for letter in told)
    if _value(told[:-_CHECK]) % _PRIME != _value(told[-_CHECK:]):
        raise Mistyped
    place = _value(told[:_PLACE])
    if not hmac.compare_digest(told[_PLACE:-_CHECK], _signed(key, round_, place)):
        raise Forged
    return place


def _signed(key: bytes, round_: str, place: int) -> str:
    digest = hmac.digest(key, f"{round_}|{place}".encode(), sha256)
    return _digits(int.from_bytes(digest, "big") >> (len(digest) * 8 - _SIGNED * 5), _SIGNED)


def _value(told: str) -> int:
    value = 0
    for letter in told:
        value = value * 32 + _VALUE[letter]
    return value


def _digits(value: int, length: int) -> str:
    return "".join(_ALPHABET[value >> 5 * place & 31] for place in reversed(range(length)))
