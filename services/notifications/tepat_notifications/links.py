"""Links by which whoever was told says so: signed, since there is no login behind them.

Invariants
- A token names a notice and nothing else, and cannot be guessed or made without the key: it carries 96 bits of
  HMAC-SHA-256 (RFC 2104, truncated as its section 5 allows).
- Whoever has the link may acknowledge that notice and can do nothing more.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

PATH = "/v1/acknowledge/"
_ID_BYTES = 16
_MAC_BYTES = 12


class Links:
    """Makes and reads links.

    Args:
        secret: the service's; of it a key of its own is made.
        address: under which recipients reach this service, without a slash at its end; none: there are no links.
    """

    def __init__(self, secret: bytes, address: str | None) -> None:
        self._key = hashlib.sha256(b"tepat acknowledge" + secret).digest()
        self._address = address

    def url(self, delivery_id: UUID) -> str | None:
        """Where a notice is acknowledged."""
        return None if self._address is None else f"{self._address}{PATH}{self.token(delivery_id)}"

    def token(self, delivery_id: UUID) -> str:
        """What names a notice in its link."""
        return urlsafe_b64encode(delivery_id.bytes + self._mac(delivery_id.bytes)).rstrip(b"=").decode()

    def delivery(self, token: str) -> UUID | None:
        """The notice a token names; none where it was not made here."""
        try:
            told = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return None
        if len(told) != _ID_BYTES + _MAC_BYTES or not hmac.compare_digest(
            told[_ID_BYTES:], self._mac(told[:_ID_BYTES])
        ):
            return None
        return UUID(bytes=told[:_ID_BYTES])

    def _mac(self, told: bytes) -> bytes:
        return hmac.digest(self._key, told, "sha256")[:_MAC_BYTES]
