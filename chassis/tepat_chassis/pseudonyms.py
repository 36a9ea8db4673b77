"""Pseudonyms: what stands for a NIK or a KK everywhere but at the door and in the registry.

A pseudonym is the first 128 bits of HMAC-SHA-256 under the province's secret over ``nik:<nik>``,
``kk:<kk>`` or ``alone:<nik>``. Without the secret it cannot be guessed back, although a NIK holds
region and birth date. The secret never leaves this object: it has no repr and is never logged.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from hashlib import _Hash

SECRET_BYTES = 32
BLOCK_BYTES = 64
"""Of SHA-256."""


class NamesSecret(Protocol):
    """A document that says under which secret pseudonyms are made."""

    @property
    def secret_id(self) -> str:
        """The secret's name."""
        ...


N = TypeVar("N", bound=NamesSecret)


class SecretMissing(Exception):
    """A secret file is absent or too short; the message says which and what to do. ``secret`` is its name."""

    def __init__(self, message: str, secret: str = "") -> None:
        super().__init__(message)
        self.secret = secret


def read_secret(directory: Path, name: str) -> bytes:
    """The secret called ``name``: the file's bytes, every one of them.

    Raises:
        SecretMissing: no such file, or fewer than 32 bytes in it.
    """
    path = directory / name
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise SecretMissing(
            f"the secret {name!r} cannot be read from {directory}: {error.strerror}; "
            "restore it from its backup, a new one would not match the pseudonyms in use",
            name,
        ) from None
    if len(secret) < SECRET_BYTES:
        raise SecretMissing(f"the secret {name!r} in {directory} is shorter than {SECRET_BYTES} bytes", name)
    return secret


class Pseudonyms:
    """Makes pseudonyms under one secret.

    HMAC as RFC 2104 defines it, out of two SHA-256 states that already hold the secret: copying those costs half of
    what copying an ``hmac`` object does, and this runs twice for every payout.
    """

    __slots__ = ("_alone", "_kk", "_nik", "_outer")

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise SecretMissing(f"a pseudonym secret has at least {SECRET_BYTES} bytes")
        block = (sha256(secret).digest() if len(secret) > BLOCK_BYTES else secret).ljust(BLOCK_BYTES, b"\0")
        inner = bytes(byte ^ 0x36 for byte in block)
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))
        self._nik, self._kk, self._alone = (sha256(inner + kind) for kind in (b"nik:", b"kk:", b"alone:"))

    def nik(self, nik: str) -> bytes:
        """The 16 bytes that stand for a person's NIK."""
        return self._of(self._nik, nik)

    def kk(self, kk: str) -> bytes:
        """The 16 bytes that stand for a family card's number."""
        return self._of(self._kk, kk)

    def alone(self, nik: str) -> bytes:
        """The 16 bytes that stand for the household of one person alone."""
        return self._of(self._alone, nik)

    def _of(self, kind: "_Hash", number: str) -> bytes:
        inner, outer = kind.copy(), self._outer.copy()
        inner.update(number.encode())
        outer.update(inner.digest())
        return outer.digest()[:16]


def having(parse: Callable[[Any], N], pseudonyms: Callable[[str], Pseudonyms]) -> Callable[[Any], N]:
    """``parse``, which raises SecretMissing besides where the secret that the document names is not here."""

    def parsed(told: Any) -> N:
        document = parse(told)
        pseudonyms(document.secret_id)
        return document

    return parsed


def as_uuid(pseudonym: bytes) -> UUID:
    """The 16 bytes as the UUID that events and tables carry."""
    return UUID(bytes=pseudonym)
