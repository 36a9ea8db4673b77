"""The embedded stack's own keys: secrets of the services, and an issuer of one token a role.

Invariants:
- A secret is made once and never again: another one would give every person another pseudonym.
- Secrets, the issuer's private key and tokens are readable by their owner alone.
- Who holds a token of one role has the rights of that role and no more.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import OKPAlgorithm

from tepat_local import files

ISSUER = "urn:tepat:embedded"
AUDIENCE = "tepat"
KEY_ID = "embedded"
LIFETIME = timedelta(days=365)

ROLES: dict[str, tuple[str, ...]] = {
    "reader": ("read",),
    "officer": ("read", "disclose", "resolve"),
    "registrar": ("read", "disclose", "merge"),
    "supervisor": ("read", "disclose", "resolve", "waive", "merge"),
    "operator": ("read", "operate"),
    "policy": ("read", "policy"),
    "admin": ("read", "disclose", "merge", "resolve", "waive", "policy", "operate"),
}
"""What each role may do, by the rights of the contracts."""


def make_secrets(folder: Path) -> None:
    """Make what is missing of `main`, the pseudonym secret, and `seal`, the quarantine's key.

    Each is 256 random bits as 64 hexadecimal digits.
    """
    with files.lock(folder / ".lock"):
        for name in ("main", "seal"):
            if not (folder / name).exists():
                files.write(folder / name, secrets.token_hex(32), secret=True)


def issue(data: Path, now: datetime | None = None) -> Path:
    """Write one token a role into `data/tokens`, valid for `LIFETIME` from `now`; return the JWKS file.

    The key pair is made once and kept in `data/keys`; tokens of an earlier start stay valid.
    """
    private, jwks = data / "keys" / "issuer.pem", data / "keys" / "jwks.json"
    if not private.exists():
        made = Ed25519PrivateKey.generate()
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files.write(private, pem, secret=True)
    key = load_pem_private_key(private.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    public = json.loads(OKPAlgorithm.to_jwk(key.public_key()))
    files.write(jwks, json.dumps({"keys": [public | {"kid": KEY_ID, "use": "sig", "alg": "EdDSA"}]}))
    issued = now or datetime.now(UTC)
    for role, rights in ROLES.items():
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": role,
            "name": f"{role.capitalize()} of the embedded stack",
            "rights": rights,
            "regions": [],
            "iat": issued,
            "exp": issued + LIFETIME,
        }
        token = jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": KEY_ID})
        files.write(data / "tokens" / role, token, secret=True)
    return jwks
