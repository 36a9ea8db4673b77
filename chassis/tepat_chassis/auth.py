"""Who acts, and what they may do.

Invariants:
- A token counts only when signed by a key of the issuer with an asymmetric algorithm, for this audience, by
  this issuer, unexpired (30 s of leeway), and naming its person, rights and regions; else the answer is 401.
- A missing right is 403 and named. Keys that can't be fetched are 503, never a way in.
- Keys are looked up off the event loop; no message repeats a token.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Protocol

import jwt
from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from tepat_chassis.refusals import refusal

ALGORITHMS = ("EdDSA", "ES256", "RS256")
LEEWAY_SECONDS = 30
_REGION = re.compile(r"\d{2}(\.\d{2}(\.\d{2}(\.\d{4})?)?)?")


class Right(StrEnum):
    """What a person may do."""

    read = "read"
    disclose = "disclose"
    merge = "merge"
    resolve = "resolve"
    waive = "waive"
    policy = "policy"
    operate = "operate"


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a token names. ``regions`` are dotted Kemendagri codes; none of them means all."""

    sub: str
    name: str
    rights: frozenset[Right]
    regions: tuple[str, ...]

    def covers(self, region: str | None) -> bool:
        """Whether ``region`` lies in the person's; an unknown one only for those who may see all."""
        return not self.regions or (
            region is not None and any(f"{region}.".startswith(f"{own}.") for own in self.regions)
        )


class TokenRefusedError(Exception):
    """The token doesn't count; ``said`` tells why, without repeating it."""

    def __init__(self, english: str, indonesian: str) -> None:
        super().__init__(english)
        self.said = (english, indonesian)


class KeysUnavailableError(Exception):
    """The issuer's keys can't be read just now."""

    def __init__(self, why: Literal["keys_away", "keys_unreadable"], wrong: Exception) -> None:
        super().__init__(why)
        self.why = why
        self.error = type(wrong).__name__


_UNKNOWN_KEY: Final = ("it is signed with an unknown key", "ditandatangani dengan kunci yang tidak dikenal")


class _Keys(Protocol):
    def key(self, kid: str) -> jwt.PyJWK:
        """The key of that id; may block. Raises TokenRefusedError, KeysUnavailableError."""


class _FileKeys:
    """Keys of a JWKS file, read again when it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[tuple[int, int, int], dict[str | None, jwt.PyJWK]] | None = None

    def key(self, kid: str) -> jwt.PyJWK:
        try:
            stat = self._path.stat()
            version = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if self._read is None or self._read[0] != version:
                keys = jwt.PyJWKSet.from_json(self._path.read_text(encoding="utf-8")).keys
                self._read = version, {key.key_id: key for key in keys if key.public_key_use in ("sig", None)}
        except (OSError, ValueError, jwt.PyJWTError) as wrong:
            raise KeysUnavailableError("keys_unreadable", wrong) from wrong
        try:
            return self._read[1][kid]
        except KeyError:
            raise TokenRefusedError(*_UNKNOWN_KEY) from None


class _UrlKeys:
    """Keys of a JWKS URL, kept for five minutes; an unknown id fetches anew, at most every 30 s."""

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, lifespan=300, timeout=5, cooldown_duration=30)

    def key(self, kid: str) -> jwt.PyJWK:
        try:
            return self._client.get_signing_key(kid)
        except (jwt.PyJWKClientConnectionError, jwt.PyJWKSetError, ValueError) as wrong:
            raise KeysUnavailableError("keys_away", wrong) from wrong
        except jwt.PyJWKClientError as wrong:
            raise TokenRefusedError(*_UNKNOWN_KEY) from wrong


class Auth:
    """Checks bearer tokens. ``jwks`` is a file or an http(s) URL."""

    def __init__(self, jwks: str, issuer: str, audience: str = "tepat") -> None:
        self._keys: _Keys = _UrlKeys(jwks) if jwks.startswith(("http://", "https://")) else _FileKeys(Path(jwks))
        self._issuer = issuer
        self._audience = audience

    async def person(self, token: str) -> Person:
        """Whom the token names. Raises TokenRefusedError, KeysUnavailableError."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            if not isinstance(kid, str):
                raise TokenRefusedError("it names no key (kid)", "tidak menyebut kunci (kid)")
            key = await asyncio.to_thread(self._keys.key, kid)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["aud", "exp", "iss", "sub"]},
            )
        except jwt.ExpiredSignatureError as wrong:
            raise TokenRefusedError("it has expired", "sudah kedaluwarsa") from wrong
        except jwt.MissingRequiredClaimError as wrong:
            raise TokenRefusedError(f"it has no {wrong.claim}", f"tidak memuat {wrong.claim}") from wrong
        except jwt.InvalidAudienceError as wrong:
            raise TokenRefusedError("it is for another audience", "untuk layanan lain (aud)") from wrong
        except jwt.InvalidIssuerError as wrong:
            raise TokenRefusedError("it is by another issuer", "dari penerbit lain (iss)") from wrong
        except (jwt.PyJWTError, ValueError) as wrong:
            raise TokenRefusedError(
                "it is malformed, or its signature is wrong", "bentuknya rusak, atau tanda tangannya salah"
            ) from wrong
        return _named(claims)


def _named(claims: dict[str, Any]) -> Person:
    """The person in checked claims; rights we don't know are left out, all else amiss refuses the token."""
    rights, regions = _texts(claims.get("rights")), _texts(claims.get("regions"))
    if rights is None or regions is None or not all(_REGION.fullmatch(each) for each in regions):
        raise TokenRefusedError(
            "its rights and regions must be lists of rights and of region codes",
            "hak dan wilayah di dalamnya harus berupa daftar hak dan kode wilayah",
        )
    name = claims.get("name") or claims["sub"]
    if not claims["sub"] or not isinstance(name, str):
        raise TokenRefusedError("it names nobody", "tidak menyebut siapa pun")
    known = frozenset(Right(each) for each in rights if each in Right.__members__)
    return Person(sub=claims["sub"], name=name, rights=known, regions=tuple(regions))


def _texts(value: Any) -> list[str] | None:
    return value if isinstance(value, list) and all(isinstance(each, str) for each in value) else None


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", scheme_name="bearer", description="who acts")


async def authenticated(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> Person:
    """Dependency: whom the request's token names, whatever their rights. Answers 401, or 503 without keys."""
    if credentials is None:
        raise refusal(401, "token_needed", {"WWW-Authenticate": 'Bearer realm="tepat"'})
    auth: Auth = request.app.state.auth
    try:
        return await auth.person(credentials.credentials)
    except TokenRefusedError as refused:
        challenge = f'Bearer realm="tepat", error="invalid_token", error_description="{refused}"'
        raise refusal(401, "token_refused", {"WWW-Authenticate": challenge}, why=refused.said) from None
    except KeysUnavailableError as missing:
        raise refusal(503, missing.why, {"Retry-After": "5"}, error=missing.error) from missing


def must_have(right: Right, person: Person) -> None:
    """Refuses (403) a person without a right, and names it."""
    if right not in person.rights:
        challenge = f'Bearer realm="tepat", error="insufficient_scope", scope="{right}"'
        raise refusal(403, "right_missing", {"WWW-Authenticate": challenge}, right=right)


@dataclass(frozen=True, slots=True)
class Needs:
    """Dependency: the person, who must hold ``right``; else 403."""

    right: Right

    async def __call__(self, person: Annotated[Person, Security(authenticated)]) -> Person:
        must_have(self.right, person)
        return person


def needs(right: Right) -> Callable[..., Awaitable[Person]]:
    """For ``who: Annotated[Person, Depends(needs(Right.read))]``; 401 without a token, 403 without it."""
    return Needs(right)
