"""Why what somebody asks of this service is refused, beyond what every service says (``tepat_chassis.refusals``)."""

from collections.abc import Mapping
from typing import Final, Literal

from tepat_chassis.refusals import Refusals
from tepat_contracts.bilingual import Said

Why = Literal[
    "no_person", "no_household", "unknown_number", "nik_or_kk", "no_report", "no_region_of_theirs",
    "not_suspected", "circle", "suspect_moved_on", "nothing_to_take_back", "into_which",
    "may_not_say", "nobody_may_say", "paid_and_kept",
]  # fmt: skip
SAID: Final[Mapping[Why, Said]] = {
    "no_person": (
        "no such person is known: see that the id is right, or ask by their NIK",
        "orang itu tidak dikenal: periksa nomornya, atau cari dengan NIK",
    ),
    "no_household": (
        "no such household is known: see that the id is right, or ask by the number of its card",
        "keluarga itu tidak dikenal: periksa nomornya, atau cari dengan nomor KK",
    ),
    "unknown_number": (
        "the registry knows nobody by that number: see that it is typed right",
        "tidak ada yang tercatat dengan nomor itu: periksa ketikannya",
    ),
    "nik_or_kk": (
        "give a NIK or the number of a card, one of the two",
        "tulis NIK atau nomor KK, salah satu saja",
    ),
    "no_report": (
        "no such report was filed: `tepat reports list` names them",
        "tidak ada laporan itu: lihat `tepat reports list`",
    ),
    "no_region_of_theirs": (
        "they are of no region, and you may see some only: ask somebody who may see the whole province",
        "jawaban itu tidak bertanda wilayah, sedangkan Anda hanya boleh melihat sebagian: mintalah kepada petugas yang "
        "boleh melihat seluruh provinsi",
    ),
    "not_suspected": (
        "nothing of that name is suspected: `tepat suspects list` names them",
        "tidak ada dugaan dengan nama itu: lihat `tepat suspects list`",
    ),
    "circle": (
        "a circle stands as long as its merges: one of them must be taken back",
        "lingkaran tetap ada selama penggabungannya berlaku: batalkan salah satunya",
    ),
    "suspect_moved_on": (
        "it is {state}, not {was}: `tepat suspects show` says what became of it",
        "statusnya {state}, bukan {was}: lihat `tepat suspects show`",
    ),
    "nothing_to_take_back": (
        "nothing of the kind stands: there is nothing to take back",
        "tidak ada yang berlaku: tidak ada yang perlu dibatalkan",
    ),
    "into_which": (
        "say into which of the two persons: `into`",
        "sebutkan digabung ke orang yang mana dari keduanya: `into`",
    ),
    "may_not_say": (
        "{agency} may not say so: it is said in the name of {able}",
        "{agency} tidak berwenang menyatakannya; yang berwenang: {able}",
    ),
    "nobody_may_say": (
        "no agency may say so: the policy must give one the right `merge`",
        "belum ada instansi yang berwenang: kebijakan harus memberi hak `merge` kepada salah satu",
    ),
    "paid_and_kept": (
        "payouts to this person reach to {paid_until} and must be kept for {kept} (the policy's retention.payouts): "
        "they can be forgotten after {until}",
        "pembayaran kepada orang ini sampai {paid_until} wajib disimpan selama {kept} (retention.payouts dalam "
        "kebijakan): datanya baru bisa dihapus setelah {until}",
    ),
}

CALLED: Final[Mapping[str, Said]] = {
    "raised": ("raised", "menunggu keputusan"),
    "withheld": ("withheld", "disisihkan sementara"),
    "dismissed": ("dismissed", "dinyatakan tidak benar"),
    "cleared": (
        "suspected no longer (merged, or told otherwise since)",
        "tidak diduga lagi (sudah digabung, atau datanya berubah)",
    ),
}
"""States of what is suspected."""

_ours = Refusals(SAID)
words, refusal = _ours.words, _ours.refusal
