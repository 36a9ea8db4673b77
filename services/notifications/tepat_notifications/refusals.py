"""Why what somebody asks of this service is refused, beyond what every service says (``tepat_chassis.refusals``)."""

from collections.abc import Mapping
from typing import Final, Literal

from tepat_chassis.refusals import Refusals
from tepat_contracts.bilingual import Said

Why = Literal[
    "no_code", "no_notice", "notice_not_over", "notice_sent", "no_channel", "callback_odd", "forged", "no_greeting",
    "no_callbacks",
]  # fmt: skip
SAID: Final[Mapping[Why, Said]] = {
    "no_code": (
        "nothing that is told of by the policy's routes has the code {code}: see that it is spelt right",
        "tidak ada pemberitahuan dengan kode {code}: periksa ejaannya",
    ),
    "no_notice": (
        "there is no such notice in your regions: `tepat notices list` names them",
        "tidak ada pemberitahuan itu di wilayah Anda: lihat `tepat notices list`",
    ),
    "notice_not_over": (
        "the notice is not over: it is {state}, and is tried again by itself",
        "pemberitahuan ini belum selesai: {state}, dan dicoba lagi dengan sendirinya",
    ),
    "notice_sent": (
        "the notice was sent: what was told is not told again",
        "pemberitahuan ini sudah terkirim: yang sudah disampaikan tidak dikirim lagi",
    ),
    "no_channel": (
        "there is no such channel: the service's settings name those that are set up",
        "saluran itu tidak ada: yang terpasang disebut dalam pengaturan layanan",
    ),
    "callback_odd": (
        "the callback is not the one that the gateway documents: see that it is set up for this channel",
        "isi panggilan balik ini tidak seperti dokumentasi penyedianya: periksa apakah dipasang untuk saluran ini",
    ),
    "forged": (
        "the callback does not bear the gateway's signature or secret: see that both sides are set up with the same",
        "panggilan balik ini tidak membawa tanda tangan atau rahasia penyedianya: samakan pengaturan di kedua sisi",
    ),
    "no_greeting": (
        "this channel is not greeted: its gateway asks nothing before it calls",
        "saluran ini tidak perlu disapa: penyedianya tidak meminta apa pun lebih dahulu",
    ),
    "no_callbacks": (
        "this channel has no callbacks: take its address out of the gateway's settings",
        "saluran ini tidak menerima panggilan balik: hapus alamatnya dari pengaturan penyedia",
    ),
}

CALLED: Final[Mapping[str, Said]] = {
    "queued": ("queued", "menunggu giliran"),
    "sending": ("being sent", "sedang dikirim"),
    "sent": ("sent", "terkirim"),
    "delivered": ("delivered", "sampai"),
    "read": ("read", "dibaca"),
    "failed": ("failed", "gagal terkirim"),
    "doubtful": ("in doubt", "belum pasti terkirim"),
    "skipped": ("skipped", "dilewati"),
}
"""States of notices."""

_ours = Refusals(SAID)
words, refusal = _ours.words, _ours.refusal
