"""Why what somebody asks of this service is refused, beyond what every service says (``tepat_chassis.refusals``)."""

from collections.abc import Mapping
from typing import Final, Literal

from tepat_chassis.refusals import Refusals
from tepat_contracts.bilingual import Said

Why = Literal[
    "ranked_otherwise", "no_programme", "no_quota", "quota_for_each", "no_ranking", "no_batch", "no_batch_of_agency",
]  # fmt: skip
SAID: Final[Mapping[Why, Said]] = {
    "ranked_otherwise": (
        "a round of that name was made for something else: take another name",
        "nama itu sudah dipakai untuk pemeringkatan lain: pakai nama lain",
    ),
    "no_programme": (
        "the policy in force has no such programme that decides who is eligible: `tepat policy show` lists them",
        "kebijakan yang berlaku tidak punya program itu, atau tidak menetapkan siapa yang berhak: lihat `tepat policy "
        "show`",
    ),
    "no_quota": (
        "the policy names no number of packages for the programme: say how many `places`",
        "kebijakan tidak menyebut jumlah paket program ini: tulis jumlahnya (`places`)",
    ),
    "quota_for_each": (
        "the quota is for each {per}: name one, or say how many `places`",
        "kuotanya untuk tiap {per}: sebutkan salah satu, atau tulis jumlahnya (`places`)",
    ),
    "no_ranking": (
        "there is no such round: `tepat ranking list` names them",
        "tidak ada pemeringkatan dengan nama itu: lihat `tepat ranking list`",
    ),
    "no_batch": (
        "no such batch was told: `tepat verification batches` names them",
        "tidak ada daftar kunjungan dengan nama itu: lihat `tepat verification batches`",
    ),
    "no_batch_of_agency": (
        "no such batch was told by that agency: `tepat verification batches` names those of all",
        "tidak ada daftar kunjungan itu dari instansi tersebut: lihat `tepat verification batches`",
    ),
}

_ours = Refusals(SAID)
words, refusal = _ours.words, _ours.refusal
