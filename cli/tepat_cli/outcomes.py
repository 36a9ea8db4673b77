"""What a command says when it went well, and what to know of what it shows, in English and Indonesian.

Invariants
- What is said beside an answer is said in words of here (a test walks through the calls), but for what whoever starts a
  system of their own reads (`up`, `demo`).
- States and kinds are named as they stand in JSON and in listings.
"""

from collections.abc import Mapping
from typing import Final, Literal

from tepat_contracts.bilingual import Said, both, filled

What = Literal[
    "first_of", "more_payouts",
    "receipt_kept", "to_judge", "what_is_judged", "beside", "is_now", "waiver_proposed",
    "not_looked_through", "answers_in", "fund_open", "fund_given", "fund_spent", "handed_over", "fund_sums",
    "group_stands", "group_of", "group_has", "institutions", "covered", "support_given",
    "queued", "told_instead", "all_in", "not_searched", "being_forgotten",
    "mistake", "mistakes", "sound", "advice", "contradiction",
    "declared", "in_force", "in_force_already", "taken_by", "version_in_force", "version_past",
    "columns_unused", "sent", "passed_over", "refused_for", "rejected_in", "all_accepted", "replayed",
    "ranked", "lines_in", "pending", "end_alone",
    "round_is", "each", "short", "coupons_in", "recorded", "in_stock", "handed", "delivered", "taken_back",
    "unclaimed", "unhanded", "held_round", "held_round_known", "adopted",
    "merged", "unmerged", "template_in",
    "unserved", "batch", "batch_unreasoned",
    "instead_of", "undecided", "gained", "every_period", "overlaps",
]  # fmt: skip
SAID: Final[Mapping[What, Said]] = {
    "first_of": (
        "the first {most}; --limit N shows more, --limit 0 all",
        "{most} pertama; --limit N menampilkan lebih banyak, --limit 0 semuanya",
    ),
    "more_payouts": ("and {count} payouts before these", "dan {count} pembayaran sebelumnya"),
    "receipt_kept": ("the receipt of {payout} is kept: {receipt}", "tanda terima {payout} disimpan: {receipt}"),
    "to_judge": (
        "to judge it as it is shown here (or with release, uphold or waive in place of hold)",
        "untuk memutuskannya seperti yang tampil di sini (atau dengan release, uphold atau waive sebagai ganti hold)",
    ),
    "what_is_judged": (
        "cases that the policy or somebody judged: overlaps that exclude each other, or were held or upheld",
        "kasus yang sudah dinilai kebijakan atau petugas: tumpang tindih yang dilarang, ditahan atau ditegakkan",
    ),
    "beside": (
        "beside them, of reviews that nobody held and of what somebody let go: {sums}",
        "di luar itu, dari tinjauan yang tidak ditahan dan yang dilepas petugas: {sums}",
    ),
    "is_now": ("{thing} is {state}", "{thing} kini {state}"),
    "waiver_proposed": (
        "{thing} is {state}, a waiver proposed: somebody else must waive it too",
        "{thing} kini {state}, pembiaran diusulkan: orang lain harus menyetujui dengan waive juga",
    ),
    "not_looked_through": (
        "lines of households or persons with more than 1,000 payouts, of which no overlap is looked for: {lines}; "
        "why names the finding of each",
        "baris dari keluarga atau orang dengan lebih dari 1.000 pembayaran, yang tumpang tindihnya tidak dicari: "
        "{lines}; kolom why menyebut temuannya",
    ),
    "answers_in": (
        "each line with its answer stands in {path}; nothing was published",
        "tiap baris dengan jawabannya ada di {path}; tidak ada yang dikirim",
    ),
    "fund_open": ("{fund} is open and holds {holds}", "dana {fund} dibuka dan berisi {holds}"),
    "fund_given": ("{amount} given; {fund} holds {holds}", "{amount} masuk; {fund} kini berisi {holds}"),
    "fund_spent": ("{amount} spent; {fund} holds {holds}", "{amount} dipakai; {fund} kini berisi {holds}"),
    "handed_over": (
        "handed over: {amount} needed, {fund} held {held}. Next: {next}",
        "diteruskan: perlu {amount}, {fund} berisi {held}. Berikutnya: {next}",
    ),
    "fund_sums": (
        "{fund}: {contributed} given, {spent} spent, holds {holds}",
        "{fund}: {contributed} masuk, {spent} dipakai, sisa {holds}",
    ),
    "group_stands": (
        "{group} stands, formed on {day} in {region}",
        "kelompok {group} tercatat, dibentuk {day} di {region}",
    ),
    "group_of": ("{title} in {region}: {members} in it", "{title} di {region}: {members} anggota"),
    "group_has": ("{group} has {members} in it", "{group} punya {members} anggota"),
    "institutions": ("institutions", "lembaga"),
    "covered": (
        "{name}: {kind} cover {covered} of {kelurahan} kelurahan on {day}",
        "{name}: {kind} menjangkau {covered} dari {kelurahan} kelurahan pada {day}",
    ),
    "support_given": (
        "{amount} given to {institution} by {agency}",
        "{amount} diberikan kepada {institution} oleh {agency}",
    ),
    "queued": ("{notice} was {was} and is queued", "{notice} tadinya {was}, kini dalam antrean"),
    "told_instead": (
        "{notice} was {was}; what it would have said goes with {delivery}, which is due now",
        "{notice} tadinya {was}; isinya ikut dalam {delivery}, yang dikirim sekarang",
    ),
    "all_in": (
        "all that is held is in {path}; it names the person: keep it safe, and hand it to nobody else",
        "semua data yang disimpan ada di {path}; isinya menyebut orangnya: simpan baik-baik, jangan diberikan kepada "
        "orang lain",
    ),
    "not_searched": (
        "not searched: {count} records in quarantine at {service}, the last kept until {until}",
        "tidak diperiksa: {count} data di karantina {service}, yang terakhir disimpan sampai {until}",
    ),
    "being_forgotten": (
        "{person} is being forgotten, under {count} NIK; what was disclosed of them stays on record",
        "data {person} sedang dihapus, dengan {count} NIK; catatan siapa yang pernah membukanya tetap ada",
    ),
    "mistake": ("1 mistake in {path}", "1 kesalahan di {path}"),
    "mistakes": ("{count} mistakes in {path}", "{count} kesalahan di {path}"),
    "sound": ("{path} is sound", "{path} tidak ada kesalahan"),
    "advice": ("advice", "saran"),
    "contradiction": ("contradiction", "pertentangan"),
    "declared": ("declared {topic}", "topik {topic} dibuat"),
    "in_force": ("policy {version} is in force", "kebijakan {version} berlaku"),
    "in_force_already": ("policy {version} was in force already", "kebijakan {version} sudah berlaku sebelumnya"),
    "taken_by": ("taken by {services}", "sudah diterima {services}"),
    "version_in_force": ("version {version}, in force", "versi {version}, sedang berlaku"),
    "version_past": (
        "version {version}, not in force ({latest} is)",
        "versi {version}, tidak berlaku (yang berlaku {latest})",
    ),
    "columns_unused": ("columns not used: {columns}", "kolom yang tidak dipakai: {columns}"),
    "sent": (
        "{sent:,} records sent to {topic} in {seconds:.1f} s ({rate:,.0f}/s)",
        "{sent:,} baris dikirim ke {topic} dalam {seconds:.1f} detik ({rate:,.0f}/detik)",
    ),
    "passed_over": (
        "{count:,} hints and repeated headings passed over",
        "{count:,} petunjuk dan judul berulang dilewati",
    ),
    "refused_for": ("{count:>9,} rejected: {reason}", "{count:,} ditolak: {reason}"),
    "rejected_in": ("which and why stands in {path}", "yang ditolak dan sebabnya ada di {path}"),
    "all_accepted": ("every record was accepted", "semua baris diterima"),
    "replayed": (
        "{service}: {replayed} replayed, {accepted} accepted, {rejected} rejected",
        "{service}: {replayed} diproses ulang, {accepted} diterima, {rejected} ditolak",
    ),
    "ranked": (
        "{round}: {ranked:,} ranked for {programme} in {region}, {reached:,} reached; by {rank_by}, equals drawn by "
        "lot",
        "{round}: {ranked:,} diperingkat untuk {programme} di {region}, {reached:,} kebagian; menurut {rank_by}, yang "
        "sama diundi",
    ),
    "lines_in": ("{path}: {count} lines", "{path}: {count} baris"),
    "pending": (
        "facts came that are not judged yet: of overlaps this is not the last word",
        "ada data masuk yang belum dinilai: angka tumpang tindih ini belum final",
    ),
    "end_alone": (
        "of {count} payouts only the end was told: they are in no line",
        "dari {count} pembayaran hanya akhirnya yang dilaporkan: tidak masuk baris mana pun",
    ),
    "round_is": (
        "{round} ({programme}, {region}) is {state}: {packages:,} packages{each}, {stock:,} in stock, {delivered:,} "
        "delivered, {left:,} promised; {ranked:,} were ranked, until {closes}{short}",
        "{round} ({programme}, {region}) kini {state}: {packages:,} paket{each}, stok {stock:,}, {delivered:,} "
        "diserahkan, {left:,} dijanjikan; {ranked:,} diperingkat, sampai {closes}{short}",
    ),
    "each": (", each {amount}", ", masing-masing {amount}"),
    "short": ("; {count:,} are promised and not there", "; {count:,} dijanjikan tetapi tidak ada barangnya"),
    "coupons_in": ("{count:,} coupons in {path}", "{count:,} kupon di {path}"),
    "recorded": (
        "{recorded:,} {what}, {again:,} known before, {refused:,} refused{left}",
        "{recorded:,} {what}, {again:,} sudah tercatat, {refused:,} ditolak{left}",
    ),
    "in_stock": ("; {stock:,} in stock", "; stok {stock:,}"),
    "handed": ("handed to {to}", "diserahkan kepada {to}"),
    "delivered": ("delivered", "diserahkan"),
    "taken_back": (
        "taken back, {count:,} promised to the next",
        "diambil kembali, {count:,} dijanjikan kepada urutan berikutnya",
    ),
    "unclaimed": (
        "{unclaimed:,} were not fetched, {newly:,} are promised to the next",
        "{unclaimed:,} tidak diambil, {newly:,} dijanjikan kepada urutan berikutnya",
    ),
    "unhanded": (
        "{count:,} were redeemed before they were said to be in the resident's hands",
        "{count:,} ditukar sebelum dicatat sudah di tangan warga",
    ),
    "held_round": (
        "{region} held a round of {packages:,} on {day}",
        "{region} mengadakan penyaluran {packages:,} paket pada {day}",
    ),
    "held_round_known": (
        "{region} held a round of {packages:,} on {day}, as was known",
        "{region} mengadakan penyaluran {packages:,} paket pada {day}, seperti sudah tercatat",
    ),
    "adopted": (
        "{held:,} of {kelurahan:,} kelurahan of {name} held a round within {days} days",
        "{held:,} dari {kelurahan:,} kelurahan di {name} mengadakan penyaluran dalam {days} hari",
    ),
    "merged": (
        "said in the name of {agency}, event {event}; `tepat trace {event}` tells its path",
        "disampaikan atas nama {agency}, kejadian {event}; lihat jalannya dengan `tepat trace {event}`",
    ),
    "unmerged": (
        "taken back in the name of {agency}, event {event}",
        "ditarik kembali atas nama {agency}, kejadian {event}",
    ),
    "template_in": ("a template for {kind} is in {path}", "contoh untuk {kind} ada di {path}"),
    "unserved": (
        "{households} of {needy} needy households receive nothing on {day}, {never} never did; {persons} persons",
        "{households} dari {needy} keluarga miskin tidak menerima apa pun pada {day}, {never} belum pernah; {persons} "
        "orang",
    ),
    "batch": (
        "{batch}: {listed:,} listed → {confirmed:,} confirmed{rest}",
        "{batch}: {listed:,} terdaftar → {confirmed:,} terkonfirmasi{rest}",
    ),
    "batch_unreasoned": (
        "{batch}: {listed:,} listed → {confirmed:,} confirmed{rest}; {count:,} rejected without a reason",
        "{batch}: {listed:,} terdaftar → {confirmed:,} terkonfirmasi{rest}; {count:,} ditolak tanpa alasan",
    ),
    "instead_of": (
        "policy {proposed} instead of {present}: {households:,} households as of {day}, payouts of {since} – {until}",
        "kebijakan {proposed} sebagai ganti {present}: {households:,} keluarga per {day}, pembayaran {since} – {until}",
    ),
    "undecided": (
        "facts came that are not decided or judged yet: of those this is not the last word",
        "ada data masuk yang belum diputuskan atau dinilai: untuk itu hasil ini belum final",
    ),
    "gained": (
        "{programme}: {comes:,} gain eligibility, {goes:,} lose it{sums}",
        "{programme}: {comes:,} menjadi layak, {goes:,} tidak lagi layak{sums}",
    ),
    "every_period": ("; every {period} {more} more, {less} less", "; tiap {period} {more} lebih, {less} kurang"),
    "overlaps": (
        "overlaps: {comes:,} appear with {more} at risk, {goes:,} vanish with {less}",
        "tumpang tindih: {comes:,} muncul dengan risiko {more}, {goes:,} hilang dengan {less}",
    ),
}


def done(what: What, /, **told: object) -> str:
    """Both languages in a line, filled in; what is said differently in the two comes as a pair, such as a ``part``."""
    return both(SAID[what], **told)


def part(what: What, /, **told: object) -> Said:
    """Part of what is said, in either language."""
    return filled(SAID[what], **told)
