"""Why what somebody asks of this service is refused, beyond what every service says (``tepat_chassis.refusals``); of
single coupons ``giving`` says it.
"""

from collections.abc import Mapping
from typing import Final, Literal

from tepat_chassis.refusals import Refusals
from tepat_contracts.bilingual import Said

Why = Literal[
    "ahead", "id_taken",
    "no_round", "no_ranking", "ranking_unfinished", "opened_otherwise", "opened_before", "by_list", "stock_id_taken",
    "too_few_left", "round_closed", "until_closes", "next_until_over", "budget_too_small", "not_neighbours",
    "packages_or_budget", "no_packages", "closes_before", "coupon_or_subject", "one_of_three", "coupons_or_region",
    "no_fund", "fund_taken", "fund_too_small", "fund_can_carry", "receipt_used", "report_and_agency", "report_unknown",
    "no_group", "group_taken", "in_group", "not_in_group", "formed_later", "joined_later",
    "no_capital", "capital_receipt",
    "one_level", "one_length", "ends_before", "receiving_by", "too_many_lines",
    "no_case", "case_named_otherwise", "no_case_of_code", "cases_of_code", "overlap_ended", "overlap_changed",
    "case_moved_on", "case_settled", "judged_already", "only_waived", "only_waived_by_two", "proposed_by_you",
    "no_account", "unheard", "no_finding", "line_too_long", "no_payment", "line_outside",
]  # fmt: skip

SAID: Final[Mapping[Why, Said]] = {
    "ahead": ("{day} is yet to come: name the day it was", "{day} belum tiba: tulis tanggal kejadiannya"),
    "id_taken": (
        "that id was used for something else: take another",
        "nomor itu sudah dipakai untuk hal lain: pakai nomor lain",
    ),
    "no_round": (
        "there is no such round: `tepat round list` names them",
        "tidak ada penyaluran dengan nama itu: lihat `tepat round list`",
    ),
    "no_ranking": (
        "eligibility has told of no ranking {round}: `tepat ranking make`, then open it again",
        "belum ada pemeringkatan {round}: jalankan `tepat ranking make`, lalu buka lagi",
    ),
    "ranking_unfinished": (
        "eligibility is still telling who was ranked: open it again in a moment",
        "daftar peringkat masih dikirim: coba buka lagi sebentar lagi",
    ),
    "opened_otherwise": (
        "the round was opened otherwise: `tepat round show` says how",
        "penyaluran ini sudah dibuka dengan isi lain: lihat `tepat round show`",
    ),
    "opened_before": (
        "the round was opened before this database was: restore its backup, or take another name",
        "penyaluran ini dibuka sebelum basis data ini ada: pulihkan cadangannya, atau pakai nama lain",
    ),
    "by_list": (
        "this round goes by its list, door to door: it has no coupons",
        "penyaluran ini menurut daftar, dari rumah ke rumah: tidak memakai kupon",
    ),
    "stock_id_taken": (
        "{restock_id} was {packages:+}: take another id",
        "{restock_id} sudah dipakai untuk {packages:+}: pakai nomor lain",
    ),
    "too_few_left": (
        "no more than {stock} packages are left to be lost",
        "tinggal {stock} paket: tidak bisa hilang lebih dari itu",
    ),
    "round_closed": ("this round is closed: open another", "penyaluran ini sudah ditutup: buka yang lain"),
    "until_closes": (
        "coupons may be redeemed until {closes}: close the round when that day is over",
        "kupon masih berlaku sampai {closes}: tutup penyaluran setelah hari itu lewat",
    ),
    "next_until_over": (
        "`next_until` is over: name a day to come",
        "`next_until` sudah lewat: tulis hari yang akan datang",
    ),
    "budget_too_small": (
        "the `budget` is less than `each` is to get: raise it, or give less to each",
        "`budget` kurang dari bagian satu orang (`each`): tambah anggaran, atau kurangi bagiannya",
    ),
    "not_neighbours": (
        "it is no programme of neighbours: the policy sets no `adoption` for it",
        "bukan program gotong royong warga: kebijakan tidak menetapkan `adoption` untuknya",
    ),
    "packages_or_budget": (
        "name packages, or a budget and how much of it each gets",
        "sebutkan jumlah paket, atau anggaran dan bagian masing-masing",
    ),
    "no_packages": (
        "say how many packages came, or less than 0 how many were lost",
        "sebutkan berapa paket bertambah, atau kurang dari 0 berapa yang hilang",
    ),
    "closes_before": ("it closes before it begins", "hari penutupan sebelum hari mulai"),
    "coupon_or_subject": (
        "name the coupon, or by the list the subject",
        "sebutkan kuponnya, atau subjek menurut daftar",
    ),
    "one_of_three": (
        "name the coupon, the subject or the delivery, one of them",
        "sebutkan kupon, subjek, atau nomor penyerahan, salah satu saja",
    ),
    "coupons_or_region": ("name the coupons, or the region", "sebutkan kuponnya, atau wilayahnya"),
    "no_fund": (
        "no such fund is open: `tepat fund list` names them",
        "tidak ada dana dengan nama itu: lihat `tepat fund list`",
    ),
    "fund_taken": (
        "a fund of that name, or of that institution and purpose, is open already: `tepat fund list` names it",
        "dana dengan nama itu, atau dari lembaga dan tujuan itu, sudah dibuka: lihat `tepat fund list`",
    ),
    "fund_too_small": (
        "the fund holds {holds}, {short} too little: wait for contributions, spend less, or hand the case over: "
        "`tepat fund hand-over {fund}`",
        "dana berisi {holds}, kurang {short}: tunggu sumbangan, belanjakan lebih sedikit, atau serahkan kasusnya: "
        "`tepat fund hand-over {fund}`",
    ),
    "fund_can_carry": (
        "the fund holds {holds} and can carry it: neighbours first, spend it",
        "dana berisi {holds} dan mampu menanggungnya: warga lebih dahulu, belanjakan dari dana",
    ),
    "receipt_used": (
        "that receipt shows money that went on {day} for {purpose} already: one receipt for one spending, so take the "
        "one of this spending",
        "bukti itu sudah dipakai untuk pengeluaran tanggal {day} untuk {purpose}: satu bukti untuk satu pengeluaran, "
        "pakai bukti pengeluaran ini",
    ),
    "report_and_agency": (
        "`report` and `to_agency` go together: which report is referred, and to whom",
        "`report` dan `to_agency` harus bersama: laporan mana yang dirujuk, dan kepada siapa",
    ),
    "report_unknown": (
        "no report {report} is known: `tepat reports list` names them; one filed just now is known in a moment",
        "tidak ada laporan {report}: lihat `tepat reports list`; laporan yang baru saja dikirim dikenal sebentar lagi",
    ),
    "no_group": (
        "no such group was formed: `tepat group list` names them",
        "tidak ada kelompok dengan nama itu: lihat `tepat group list`",
    ),
    "group_taken": (
        "a group of that name was formed already: take another name",
        "kelompok dengan nama itu sudah dibentuk: pakai nama lain",
    ),
    "in_group": (
        "the person is in group {groups}: they must leave it first (`tepat group leave`)",
        "orang ini anggota kelompok {groups}: harus keluar dulu (`tepat group leave`)",
    ),
    "not_in_group": (
        "the person is not in that group: `tepat group show` says who is",
        "orang ini bukan anggota kelompok itu: lihat `tepat group show`",
    ),
    "formed_later": (
        "the group was formed on {day}, after `since`: name that day or a later one",
        "kelompok dibentuk pada {day}, setelah `since`: tulis hari itu atau sesudahnya",
    ),
    "joined_later": (
        "they joined on {day}, after `until`: name that day or a later one",
        "ia bergabung pada {day}, setelah `until`: tulis hari itu atau sesudahnya",
    ),
    "no_capital": (
        "no payout of capital is known by that name: `tepat capital list` names them",
        "tidak ada bantuan modal dengan nama itu: lihat `tepat capital list`",
    ),
    "capital_receipt": (
        "another receipt of it is kept already: `tepat capital list` shows it",
        "bukti terima lain untuk bantuan itu sudah tersimpan: lihat `tepat capital list`",
    ),
    "one_level": (
        "`by` names {named}: one level of area at a time",
        "`by` menyebut {named}: satu tingkat wilayah saja",
    ),
    "one_length": (
        "`by` names {named}: one length of period at a time",
        "`by` menyebut {named}: satu panjang masa saja",
    ),
    "ends_before": (
        "the period ends before it begins: exchange `from` and `to`",
        "masa berakhir sebelum mulai: tukar `from` dan `to`",
    ),
    "receiving_by": (
        "who was paid is counted `by` programme, or by programme and one level of area",
        "penerima dihitung `by` programme, atau programme dan satu tingkat wilayah",
    ),
    "too_many_lines": (
        "that makes more than {most:,} lines: ask for an area, a programme or a shorter period",
        "hasilnya lebih dari {most:,} baris: pilih wilayah, program, atau masa yang lebih pendek",
    ),
    "no_case": (
        "there is no such case: `tepat case list` names them",
        "tidak ada kasus dengan nomor itu: lihat `tepat case list`",
    ),
    "case_named_otherwise": (
        "a case is named by its overlap's id, or by its code of 8 letters and digits",
        "kasus disebut dengan nomor tumpang tindihnya, atau kodenya: 8 huruf dan angka",
    ),
    "no_case_of_code": (
        "no case has that code: see that it is spelt right",
        "tidak ada kasus dengan kode itu: periksa ejaannya",
    ),
    "cases_of_code": (
        "more than one case has that code: name it by its overlap's id",
        "lebih dari satu kasus memakai kode itu: sebutkan nomor tumpang tindihnya",
    ),
    "overlap_ended": (
        "its overlap has ended: there is nothing left to resolve",
        "tumpang tindihnya sudah berakhir: tidak ada lagi yang perlu diselesaikan",
    ),
    "overlap_changed": (
        "the overlap has changed since you looked: you saw revision {seen}, it is at {now} now; look at it again, and "
        "decide by what stands there",
        "tumpang tindih ini berubah sejak Anda lihat: yang Anda lihat revisi {seen}, sekarang {now}; lihat lagi, dan "
        "putuskan menurut yang tertulis di sana",
    ),
    "case_moved_on": (
        "the case has moved on since you looked: you saw its revision {seen}, it is at {now} now: {meanwhile}; look at "
        "it again, and decide by what stands there",
        "kasus ini sudah berubah sejak Anda lihat: yang Anda lihat revisi kasus {seen}, sekarang {now}: "
        "{meanwhile}; lihat lagi, dan putuskan menurut yang tertulis di sana",
    ),
    "case_settled": (
        "it is {state}: only what is open or held is assigned",
        "kasus ini {state}: hanya yang masih terbuka atau ditahan bisa diserahkan kepada petugas",
    ),
    "judged_already": (
        "it is {judgement} already: there is nothing to change",
        "kasus ini sudah {judgement}: tidak ada yang diubah",
    ),
    "only_waived": (
        "its rule excludes both payments, and to release lifts only what somebody held: a waiver (`tepat case waive`) "
        "lets them go, by somebody with the right `waive`",
        "aturannya melarang kedua pembayaran, dan melepas hanya mencabut yang ditahan petugas: yang mengizinkannya "
        "adalah pengecualian (`tepat case waive`) oleh petugas dengan hak `waive`",
    ),
    "only_waived_by_two": (
        "its rule excludes both payments, and to release lifts only what somebody held: a waiver (`tepat case waive`) "
        "lets them go, by two people, one after the other, with the right `waive`",
        "aturannya melarang kedua pembayaran, dan melepas hanya mencabut yang ditahan petugas: yang mengizinkannya "
        "adalah pengecualian (`tepat case waive`) oleh dua petugas berturut-turut dengan hak `waive`",
    ),
    "proposed_by_you": (
        "you proposed it: more than {alone} rupiah are at risk, so that somebody else must waive it",
        "Anda yang mengusulkannya: lebih dari {alone} rupiah berisiko, jadi petugas lain yang harus mengecualikannya",
    ),
    "no_account": (
        "must be the account that somebody signs in with, 1 to 255 letters, digits and signs without spaces",
        "harus akun yang dipakai untuk masuk, 1 sampai 255 huruf, angka dan tanda tanpa spasi",
    ),
    "unheard": (
        "nobody has acted here as {account} yet: see that it is spelt right",
        "belum ada yang bertindak di sini sebagai {account}: periksa ejaannya",
    ),
    "no_finding": (
        "there is no such finding in your regions: `tepat findings list --all` names them",
        "tidak ada temuan itu di wilayah Anda: lihat `tepat findings list --all`",
    ),
    "line_too_long": (
        "a line is over 1 MiB: no service takes such a record",
        "satu baris lebih dari 1 MiB: tidak ada layanan yang menerimanya",
    ),
    "no_payment": (
        "is not a payment: only payouts are checked",
        "bukan pembayaran: yang diperiksa hanya pembayaran",
    ),
    "line_outside": (
        "the line is for an area outside those of your token: ask who has them",
        "baris ini untuk wilayah di luar wewenang token Anda: mintalah kepada yang berwenang",
    ),
}


CALLED: Final[Mapping[str, Said]] = {
    "open": ("open", "terbuka"),
    "held": ("held", "ditahan"),
    "released": ("released", "dilepas"),
    "upheld": ("upheld", "dinyatakan benar ganda"),
    "waived": ("waived", "dikecualikan"),
    "closed": ("closed", "ditutup"),
    "assigned": ("assigned", "diserahkan kepada petugas"),
    "waive_proposed": ("waiver proposed", "diusulkan dikecualikan"),
    "reopened": ("reopened", "dibuka lagi"),
    "overdue": ("told overdue", "dinyatakan lewat tenggat"),
    "nothing": ("nothing was done in it", "belum ada tindakan"),
    "service": ("the service", "layanan"),
}
"""States of cases and acts in them, that nothing was done, and who acts where no person does."""

_ours = Refusals(SAID)
words, refusal = _ours.words, _ours.refusal
