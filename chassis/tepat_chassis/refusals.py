"""Why what somebody asks is refused, and what to do instead: in English and Indonesian, for officers and those they
serve read either. Here is what every service says, and of what form is what one alone does::

    _ours = Refusals(SAID)
    words, refusal = _ours.words, _ours.refusal

Invariants
- No module refuses in other words than those of a catalogue (``refusing`` in the tests walks through the calls), apart
  from what ``wanted`` says of requests that do not fit.
- No refusal repeats a NIK or a KK, whatever is filled in.
"""

from collections.abc import Mapping
from typing import Any, Final, Generic, Literal, TypeVar

from fastapi import HTTPException
from tepat_contracts.bilingual import Said, both

from tepat_chassis.logging import mask

Common = Literal[
    "outside", "right_missing", "no_area", "no_agency", "nothing_to_compare",
    "token_needed", "token_refused", "keys_away", "keys_unreadable",
    "broker_away", "database_away", "no_policy", "failed", "no_address", "unfit", "cursor", "busy",
    "not_quarantined", "sealed_otherwise", "disclosures_by_region", "secret_missing",
]  # fmt: skip
COMMON: Final[Mapping[Common, Said]] = {
    "outside": (
        "that is outside your regions: ask who has charge of it",
        "di luar wilayah Anda: hubungi petugas wilayah itu",
    ),
    "right_missing": (
        "the right {right} is missing: ask whoever issues your token",
        "hak {right} belum diberikan: mintalah kepada penerbit token Anda",
    ),
    "no_area": (
        "no area has the code {region}: look it up, and write it as 33.74.01.1001",
        "tidak ada wilayah dengan kode {region}: periksa kodenya, contoh 33.74.01.1001",
    ),
    "no_agency": (
        "the policy in force knows no agency {agency}: `tepat policy show` lists them",
        "kebijakan yang berlaku tidak mengenal instansi {agency}: lihat `tepat policy show`",
    ),
    "nothing_to_compare": (
        "no policy is in force yet: there is nothing to compare with",
        "belum ada kebijakan yang berlaku: tidak ada yang bisa dibandingkan",
    ),
    "token_needed": (
        "a bearer token is needed: sign in, or ask for one",
        "perlu token (Bearer): masuk dahulu, atau mintalah token",
    ),
    "token_refused": ("the token is refused: {why}; ask for a new one", "token ditolak: {why}; mintalah yang baru"),
    "keys_away": (
        "the issuer's keys can't be fetched just now: {error}; try again in a moment",
        "kunci penerbit token sedang tidak bisa diambil: {error}; coba lagi sebentar lagi",
    ),
    "keys_unreadable": (
        "the service can't read its file of keys: {error}; tell who runs it",
        "layanan tidak bisa membaca berkas kuncinya: {error}; beri tahu pengelolanya",
    ),
    "broker_away": (
        "the broker can't be reached just now: try again",
        "broker Kafka sedang tidak terjangkau: coba lagi",
    ),
    "database_away": (
        "the database can't be reached just now: try again",
        "basis data sedang tidak terjangkau: coba lagi",
    ),
    "no_policy": (
        "no policy was applied yet: `tepat policy apply FILE`",
        "belum ada kebijakan yang berlaku: jalankan `tepat policy apply FILE`",
    ),
    "failed": ("the service failed; its log says why", "layanan gagal; sebabnya ada di lognya"),
    "no_address": (
        "nothing of the kind can be asked here: is the command of the same release as the service?",
        "yang diminta tidak ada di sini: apakah versi perintahnya sama dengan versi layanannya?",
    ),
    "unfit": ("the request doesn't fit the interface", "permintaan tidak sesuai antarmuka"),
    "cursor": (
        "the cursor is not one of this listing: begin again without",
        "penanda halaman ini bukan dari daftar ini: mulai lagi tanpa penanda",
    ),
    "busy": (
        "another {what} is being worked out here: try again when it is done",
        "{what} lain sedang dikerjakan di sini: coba lagi setelah selesai",
    ),
    "not_quarantined": (
        "no such record is in quarantine: `tepat quarantine list` names them",
        "tidak ada data itu di karantina: lihat `tepat quarantine list`",
    ),
    "sealed_otherwise": (
        "it was sealed under another key: restore the secret `seal` of that time",
        "data ini disegel dengan kunci lain: pulihkan rahasia `seal` dari waktu itu",
    ),
    "disclosures_by_region": (
        "disclosures are not kept by region: it takes an account for all regions",
        "pembukaan data tidak dicatat per wilayah: perlu akun untuk semua wilayah",
    ),
    "secret_missing": (
        "policy {version} names the secret `{secret}`, which this service does not have: correct `secret_id` and apply "
        "it under a new version, or give the service that secret's file of 32 bytes or more",
        "kebijakan {version} menyebut rahasia `{secret}` yang tidak ada pada layanan ini: perbaiki `secret_id` lalu "
        "terapkan dengan versi baru, atau berikan berkas rahasia itu (sedikitnya 32 byte) kepada layanan",
    ),
}

Own = TypeVar("Own", bound=str)


class Refusals(Generic[Own]):
    """The words of one service: its own, and what all say. Args: ``said``, its own by why they are said."""

    def __init__(self, said: Mapping[Own, Said]) -> None:
        self._said: dict[Any, Said] = {**COMMON, **said}

    def words(self, why: Own | Common, /, **told: object) -> str:
        """Both languages, filled in; what is said differently in the two comes as a pair."""
        return mask(both(self._said[why], **told))

    def refusal(
        self, status: int, why: Own | Common, headers: dict[str, str] | None = None, /, **told: object
    ) -> HTTPException:
        """What is answered: an HTTP status, and why."""
        return HTTPException(status, self.words(why, **told), headers)


_ours = Refusals[Common]({})
words, refusal = _ours.words, _ours.refusal
