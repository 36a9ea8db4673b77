"""Pseudonyms: what stands for a NIK or a KK everywhere but at the door and in the registry.

A pseudonym is the first 128 bits of HMAC-SHA-256 under the province's secret over ``nik:<nik>``,
``kk:<kk>`` or ``alone:<nik>``. Without the secret it cannot be guessed back, although a NIK holds
region and birth date. The secret never leaves this object: it has no repr and is never logged.
"""

import hmac
from pathlib import Path
from uuid import UUID

SECRET_BYTES = 32


class SecretMissing(Exception):
    """A secret file is absent or too short; the message says which and what to do."""


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
            "restore it from its backup, a new one would not match the pseudonyms in use"
        ) from None
    if len(secret) < SECRET_BYTES:
        raise SecretMissing(f"the secret {name!r} in {directory} is shorter than {SECRET_BYTES} bytes")
    return secret


class Pseudonyms:
    """Makes pseudonyms under one secret. A prepared HMAC is copied for each: 1.1 µs, not 2.8."""

    __slots__ = ("_alone", "_kk", "_nik")

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise SecretMissing(f"a pseudonym secret has at least {SECRET_BYTES} bytes")
        self._nik, self._kk, self._alone = (hmac.new(secret, kind, "sha256") for kind in (b"nik:", b"kk:", b"alone:"))

    def nik(self, nik: str) -> bytes:
        """The 16 bytes that stand for a person's NIK."""
        prepared = self._nik.copy()
        prepared.update(nik.encode())
        return prepared.digest()[:16]

    def kk(self, kk: str) -> bytes:
        """The 16 bytes that stand for a family card's number."""
        prepared = self._kk.copy()
        prepared.update(kk.encode())
        return prepared.digest()[:16]

    def alone(self, nik: str) -> bytes:
        """The 16 bytes that stand for the household of one person alone."""
        prepared = self._alone.copy()
        prepared.update(nik.encode())
        return prepared.digest()[:16]


def as_uuid(pseudonym: bytes) -> UUID:
    """The 16 bytes as the UUID that events and tables carry."""
    return UUID(bytes=pseudonym)
