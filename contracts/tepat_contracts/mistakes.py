"""What can be wrong with a policy, in English and in Indonesian: those who write one read either.

Invariants:
- nothing is told of a policy but in words of here, each an end of a sentence that begins with what it is about;
- what is told decides how grave it is: a mistake, unless it stands in `MILDER`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from .bilingual import BETWEEN, Said, filled

#: A mistake keeps a policy from being applied. A contradiction has an outcome by definition, advice may be meant so.
Severity = Literal["mistake", "contradiction", "advice"]

#: What is wrong with the value of a field alone, told by its type.
Form = Literal["duration", "time_zone", "json_key", "json_value", "kept", "term", "clock", "addressees"]
Why = Literal[
    # the file
    "tab", "stray_colon", "no_colon", "indent", "unclosed", "unended", "not_yaml", "too_deep", "twice_here",
    # the shape
    "missing", "no_field", "not_text", "neither_text", "no_mapping", "key_not_text", "no_date", "empty",
    "too_few", "too_many", "no_choice", "no_whole", "no_number", "not_finite", "no_boolean", "no_list",
    "at_least", "at_most", "unfit",
    "of_version", "of_secret_id", "of_id", "of_code", "of_programmes", "of_prefer", "of_regions",
    Form,
    # what stands beside it
    "named_twice", "no_programme", "no_agency", "sealed", "no_quota", "no_area", "within_another",
    "by_component", "needs_components", "needs_period", "due_to_nobody", "never_due",
    "not_after", "fewer", "not_repeatable", "neighbours_overlap", "says_otherwise", "no_person_there",
    "no_score", "score_unasked", "score_of_person", "score_of_score", "not_ascending",
    "built_in_id", "prefers_other", "ends_before", "gap", "contradicts", "contradicts_all",
    "never_decides", "never_decides_built_in", "begins_after",
    # reports and notices
    "same_charge", "climbs", "no_step", "passed", "passed_all", "uncharged", "uncharged_anywhere",
    "no_groups", "told_nothing", "no_routes", "no_people", "never_quiet", "digest", "digest_else",
    "nobody_concerned", "no_group", "no_verdict", "not_reached", "no_address",
    # criteria
    "cel_empty", "cel_deep", "cel_ends", "cel_text", "cel_sign", "cel_instead", "cel_reserved", "cel_other",
    "speaks_of", "misspelt", "unheard_of", "never_equal", "never_so", "never_at_once", "always_so",
    "no_such_field", "types", "no_function", "function_fails", "not_evaluated", "by_zero", "beyond_end",
    "never_evaluated", "no_truth", "no_rank",
]  # fmt: skip
SAID: Final[Mapping[Why, Said]] = {
    "tab": (
        "is not YAML: a tab stands where YAML wants blanks; indent with blanks",
        "bukan YAML: ada tab di tempat yang harus spasi; pakai spasi untuk menjorokkan",
    ),
    "stray_colon": (
        "is not YAML: a colon cannot stand here; put a text that holds one in quotes",
        "bukan YAML: titik dua tidak boleh di sini; beri tanda kutip pada teks yang memuatnya",
    ),
    "no_colon": (
        "is not YAML: a key lacks its colon; write `key: value`",
        "bukan YAML: nama tanpa titik dua; tulis `nama: isi`",
    ),
    "indent": (
        "is not YAML: this is indented otherwise than what it stands beside, or a text in quotes goes on behind them; "
        "align it",
        "bukan YAML: jorokannya lain dari baris di sekitarnya, atau ada teks di luar tanda kutip; luruskan",
    ),
    "unclosed": (
        "is not YAML: a bracket or a quote is not closed, or a comma is missing, here or further up",
        "bukan YAML: kurung atau tanda kutip belum ditutup, atau kurang koma, di sini atau di atasnya",
    ),
    "unended": (
        "is not YAML: the file ends before a text in quotes or a list does",
        "bukan YAML: berkas berakhir sebelum teks dalam kutip atau daftarnya selesai",
    ),
    "not_yaml": ("is not YAML ({told})", "bukan YAML ({told})"),
    "too_deep": ("is nested too deeply or too large", "terlalu bertingkat atau terlalu besar"),
    "twice_here": ("stands twice here: keep one", "tertulis dua kali di sini: sisakan satu"),
    "missing": ("is missing", "belum diisi"),
    "no_field": ("is no field of a policy{near}", "bukan isian kebijakan{near}"),
    "not_text": ("must be a text: put it in quotes", "harus teks: beri tanda kutip"),
    "neither_text": (
        "must be a text, and is a list or a mapping of fields",
        "harus teks, bukan daftar atau kumpulan isian",
    ),
    "no_mapping": ("must be a mapping of fields", "harus kumpulan isian (nama: isi)"),
    "key_not_text": (
        "is a key that is not a text: put it in quotes",
        "adalah nama isian yang bukan teks: beri tanda kutip",
    ),
    "no_date": ("must be a date that exists, as 2026-01-31", "harus tanggal yang ada, contoh 2026-01-31"),
    "empty": ("must not be empty", "tidak boleh kosong"),
    "too_few": (
        "must list at least {least} entries, and lists {given}",
        "harus memuat sedikitnya {least}, dan memuat {given}",
    ),
    "too_many": (
        "must list at most {most} entries, and lists {given}",
        "hanya boleh memuat paling banyak {most}, dan memuat {given}",
    ),
    "no_choice": ("must be {choices}", "harus {choices}"),
    "no_whole": (
        "must be a whole number without quotes, dots or commas, as 750000",
        "harus bilangan bulat tanpa tanda kutip, titik atau koma, contoh 750000",
    ),
    "no_number": ("must be a number without quotes", "harus angka tanpa tanda kutip"),
    "not_finite": ("must be a finite number", "harus angka yang berhingga"),
    "no_boolean": ("must be true or false, without quotes", "harus true atau false, tanpa tanda kutip"),
    "no_list": ("must be a list", "harus daftar"),
    "at_least": ("must be {least} or more", "harus {least} atau lebih"),
    "at_most": ("must be {most} or less", "harus {most} atau kurang"),
    "unfit": (
        "is nothing that can stand here: see the examples of a policy",
        "tidak dapat ditulis di sini: lihat contoh kebijakan",
    ),
    "of_version": (
        "must be 1 to 128 characters without line breaks or blanks at its ends",
        "harus 1 sampai 128 karakter, tanpa ganti baris atau spasi di ujungnya",
    ),
    "of_secret_id": (
        "must name a secret: letters, digits, dots and dashes",
        "harus nama rahasia: huruf, angka, titik dan tanda hubung",
    ),
    "of_id": (
        "must be an id: for an agency 3 to 40 of a–z, 0–9 and dashes, for a rule 1 to 128 characters",
        "harus ID: untuk instansi 3 sampai 40 dari a–z, 0–9 dan tanda hubung, untuk aturan 1 sampai 128 karakter",
    ),
    "of_code": (
        "must be a code: for a programme 1 to 128 characters, for an area digits and dots as 33.74.01",
        "harus kode: untuk program 1 sampai 128 karakter, untuk wilayah angka dan titik seperti 33.74.01",
    ),
    "of_programmes": ("must hold codes of 1 to 128 characters", "harus memuat kode 1 sampai 128 karakter"),
    "of_prefer": ("must be the code of a programme", "harus kode program"),
    "of_regions": (
        "must hold codes of areas: digits and dots as 33.74.01",
        "harus memuat kode wilayah: angka dan titik seperti 33.74.01",
    ),
    "duration": (
        "must be a duration of weeks, days, hours, minutes or seconds, as P7D or PT12H",
        "harus lama waktu dalam minggu, hari, jam, menit atau detik, contoh P7D atau PT12H",
    ),
    "time_zone": (
        "is no time zone; Indonesia's are Asia/Jakarta, Asia/Makassar, Asia/Jayapura",
        "bukan zona waktu; di Indonesia: Asia/Jakarta, Asia/Makassar, Asia/Jayapura",
    ),
    "json_key": (
        "has a key that is not a text: put it in quotes",
        "memuat nama isian yang bukan teks: beri tanda kutip",
    ),
    "json_value": (
        "holds a value that JSON cannot carry: put it in quotes",
        "memuat isi yang tidak dapat dibawa JSON: beri tanda kutip",
    ),
    "kept": (
        "must be years, months or days, as P10Y, P18M or P90D",
        "harus tahun, bulan atau hari, contoh P10Y, P18M atau P90D",
    ),
    "term": (
        "must be no longer than a year: nobody waits so long for an answer",
        "paling lama satu tahun: tidak ada yang menunggu jawaban selama itu",
    ),
    "clock": ('must be an hour in quotes, as "21:00"', 'harus jam dalam tanda kutip, contoh "21:00"'),
    "addressees": ("must name one of `agency` and `officers`", "harus menyebut salah satu: `agency` atau `officers`"),
    "named_twice": ("is named twice", "disebut dua kali"),
    "no_programme": ("is no programme of this policy{near}", "bukan program dalam kebijakan ini{near}"),
    "no_agency": ("is no agency of this policy{near}", "bukan instansi dalam kebijakan ini{near}"),
    "sealed": (
        "must not be `seal`: that is the key of the quarantine",
        "tidak boleh `seal`: itu kunci karantina",
    ),
    "no_quota": (
        "is not used in ranking: give a number of packages, or {{packages: 100, per: kelurahan}} "
        "(province, kabupaten, kecamatan or kelurahan)",
        "tidak dipakai dalam pemeringkatan: isi jumlah paket, atau {{packages: 100, per: kelurahan}} "
        "(province, kabupaten, kecamatan atau kelurahan)",
    ),
    "no_area": (
        "is no area that is known; newer ones stand under the policy's own `regions`",
        "bukan wilayah yang dikenal; wilayah baru ditulis di `regions` kebijakan ini",
    ),
    "within_another": (
        "is within another area of this programme: leave it out",
        "sudah termasuk wilayah lain program ini: hapus",
    ),
    "by_component": (
        "is paid by component here: leave it out",
        "di sini dibayar per komponen: hapus",
    ),
    "needs_components": ("needs components", "memerlukan components"),
    "needs_period": (
        "needs a `period`: month, two_months, quarter, half_year, year or once",
        "memerlukan `period`: month, two_months, quarter, half_year, year atau once",
    ),
    "due_to_nobody": (
        "is due to nobody: the programme has no criteria",
        "bukan hak siapa pun: program ini tidak punya kriteria",
    ),
    "never_due": (
        "is never due: whoever meets it meets `{code}` too, which pays no less; take it away, or let it ask for others",
        "tidak pernah dibayar: yang memenuhinya juga memenuhi `{code}`, yang nilainya tidak lebih kecil; hapus, atau "
        "ubah syaratnya",
    ),
    "not_after": (
        "must come after {day}, the target before it",
        "harus setelah {day}, target sebelumnya",
    ),
    "fewer": (
        "asks for fewer than the {count} of the target before it: kelurahan that take part are to stay",
        "lebih sedikit dari {count} pada target sebelumnya: kelurahan yang sudah ikut seharusnya tetap ikut",
    ),
    "not_repeatable": (
        "is of a programme of neighbours, who may help twice: mark the programme `repeatable: true`, or the second "
        "help is an overlap",
        "milik program warga, yang boleh membantu dua kali: tandai programnya `repeatable: true`, atau bantuan kedua "
        "menjadi tumpang tindih",
    ),
    "neighbours_overlap": (
        "holds what neighbours give as an overlap, though `{code}` has `adoption`: community aid tops up; take "
        "`complementary`",
        "menganggap bantuan warga tumpang tindih, padahal `{code}` punya `adoption`: bantuan warga melengkapi; pakai "
        "`complementary`",
    ),
    "says_otherwise": (
        "says otherwise than `named_criteria`: write that list as `criteria`, and nothing else",
        "berbeda dari `named_criteria`: tulis daftar itu sebagai `criteria`, tanpa yang lain",
    ),
    "no_person_there": (
        "asks for `person`, which a programme of households does not have: unknown for everybody; ask "
        "`household.members.exists(m, m.age >= 60)` and the like, or take `unit: person`",
        "menanyakan `person`, yang tidak ada pada program untuk keluarga: tidak diketahui bagi semua; tanyakan "
        "misalnya `household.members.exists(m, m.age >= 60)`, atau pakai `unit: person`",
    ),
    "no_score": (
        "asks for `household.{field}`, but this policy has no `score`: declare one",
        "menanyakan `household.{field}`, tetapi kebijakan ini tidak punya `score`: tambahkan",
    ),
    "score_unasked": (
        "is asked for by no programme: neither `score` nor `score_decile`",
        "tidak ditanyakan program mana pun: baik `score` maupun `score_decile`",
    ),
    "score_of_person": (
        "asks for `person`, but a score is a household's: count with `household.members.filter(m, m.age < 18).size()` "
        "and the like",
        "menanyakan `person`, tetapi skor milik keluarga: hitung misalnya dengan "
        "`household.members.filter(m, m.age < 18).size()`",
    ),
    "score_of_score": (
        "asks for the score itself, which it is a part of",
        "menanyakan skor itu sendiri, padahal bagian darinya",
    ),
    "not_ascending": (
        "must ascend: the score from which on a household is in decile 2, 3 … 10",
        "harus makin besar: skor mulai dari mana keluarga masuk desil 2, 3 … 10",
    ),
    "built_in_id": (
        "is the id of the rule every policy has; take another",
        "adalah ID aturan yang ada di setiap kebijakan; pakai yang lain",
    ),
    "prefers_other": (
        "must be one of the rule's two programmes",
        "harus salah satu dari dua program aturan ini",
    ),
    "ends_before": ("ends before it begins", "berakhir sebelum mulai"),
    "gap": (
        "leaves {first} to {last} without a rule of these programmes and scope, after that of line {line}; close the "
        "gap unless it is meant",
        "membiarkan {first} sampai {last} tanpa aturan untuk program dan lingkup ini, setelah aturan baris {line}; "
        "tutup jedanya kecuali memang dimaksud",
    ),
    "contradicts": (
        "contradicts the rule of line {line}: same programmes and scope, another verdict, days shared; the stronger "
        "verdict wins",
        "bertentangan dengan aturan baris {line}: program dan lingkup sama, putusan lain, ada hari yang sama; putusan "
        "yang lebih tegas berlaku",
    ),
    "contradicts_all": (
        "contradicts the rule of line {line}: same programmes and scope, another verdict, days shared; the stronger "
        "verdict wins, and the rule of line {weaker} never decides",
        "bertentangan dengan aturan baris {line}: program dan lingkup sama, putusan lain, ada hari yang sama; putusan "
        "yang lebih tegas berlaku, dan aturan baris {weaker} tidak pernah menentukan",
    ),
    "never_decides": (
        "never decides: rules of the same programmes and scope do on all its days (line {lines}), by a stronger "
        "verdict or the lesser id; take one away",
        "tidak pernah menentukan: pada semua harinya yang menentukan adalah aturan lain untuk program dan lingkup sama "
        "(baris {lines}), karena putusannya lebih tegas atau ID-nya lebih awal; hapus salah satunya",
    ),
    "never_decides_built_in": (
        "never decides: `{rule}`, which every policy has, does; take it away, or mark the programme `repeatable: true`",
        "tidak pernah menentukan: yang menentukan `{rule}`, yang ada di setiap kebijakan; hapus, atau tandai "
        "programnya `repeatable: true`",
    ),
    "begins_after": (
        "begins when `{code}` has ended, on {day}",
        "mulai setelah `{code}` berakhir, pada {day}",
    ),
    "same_charge": (
        "has charge of nothing: an agency named before has charge of the same",
        "tidak menangani apa pun: instansi yang disebut sebelumnya menangani hal yang sama",
    ),
    "climbs": (
        "must come before {below}: a report climbs {steps}",
        "harus sebelum {below}: laporan naik {steps}",
    ),
    "no_step": (
        "is none of the `steps`: give it a deadline there",
        "tidak ada di `steps`: beri tenggat di sana",
    ),
    "passed": (
        "is passed at once: nobody has charge of reports of {kinds} there",
        "langsung dilewati: tidak ada yang menangani laporan {kinds} di sana",
    ),
    "passed_all": (
        "is passed at once: nobody has charge of any report there",
        "langsung dilewati: tidak ada yang menangani laporan apa pun di sana",
    ),
    "uncharged": (
        "leaves others: nobody at any step has charge of reports of {kinds} from {region}",
        "belum mencakup semua: di tingkat mana pun tidak ada yang menangani laporan {kinds} dari {region}",
    ),
    "uncharged_anywhere": (
        "leaves others: nobody at any step has charge of reports of {kinds} from any region",
        "belum mencakup semua: di tingkat mana pun tidak ada yang menangani laporan {kinds} dari wilayah mana pun",
    ),
    "no_groups": (
        "must be a mapping of groups to lists of people",
        "harus kumpulan kelompok, masing-masing dengan daftar orang",
    ),
    "told_nothing": (
        "is told nothing: no route of `notices` names it",
        "tidak diberi tahu apa pun: tidak ada rute di `notices` yang menyebutnya",
    ),
    "no_routes": (
        "must be a list of routes, each with `kinds` and `to`",
        "harus daftar rute, masing-masing dengan `kinds` dan `to`",
    ),
    "no_people": (
        "must be a list of people, each with `name`, `role` and `contact`",
        "harus daftar orang, masing-masing dengan `name`, `role` dan `contact`",
    ),
    "never_quiet": (
        "is quiet never, or always: let `from` and `to` differ",
        "tidak pernah tenang, atau selalu: bedakan `from` dan `to`",
    ),
    "digest": (
        "rejections are told in the digest whatever `when` says",
        "penolakan selalu masuk rangkuman, apa pun isi `when`",
    ),
    "digest_else": (
        "rejections are told in the digest whatever `when` says, the other kinds at once",
        "penolakan selalu masuk rangkuman, apa pun isi `when`; jenis lainnya langsung",
    ),
    "nobody_concerned": (
        "is no agency of this policy, and not `{concerned}`{near}",
        "bukan instansi dalam kebijakan ini dan bukan `{concerned}`{near}",
    ),
    "no_group": ("is no group of `routes.recipients`{near}", "bukan kelompok dalam `routes.recipients`{near}"),
    "no_verdict": ("is told by no {kinds}{near}", "tidak pernah disebut oleh {kinds}{near}"),
    "not_reached": (
        "is not reached: the contact has no {ways}",
        "tidak terjangkau: kontaknya tidak punya {ways}",
    ),
    "no_address": (
        "is hardly an address that reaches anybody: write {form}",
        "sepertinya bukan alamat yang sampai ke orang: tulis {form}",
    ),
    "cel_empty": ("is not CEL: it is empty", "bukan CEL: kosong"),
    "cel_deep": ("is not CEL: it is nested too deeply", "bukan CEL: terlalu bertingkat"),
    "cel_ends": (
        "is not CEL: it ends where more is expected ({where})",
        "bukan CEL: berakhir padahal belum lengkap ({where})",
    ),
    "cel_text": (
        "is not CEL: a text begins that does not end, or holds a \\ that CEL does not know ({where})",
        "bukan CEL: ada teks yang tidak ditutup, atau memuat \\ yang tidak dikenal CEL ({where})",
    ),
    "cel_sign": (
        "is not CEL: `{sign}` cannot stand there ({where})",
        "bukan CEL: `{sign}` tidak boleh di situ ({where})",
    ),
    "cel_instead": (
        "is not CEL: `{sign}` cannot stand there ({where}); write {instead}",
        "bukan CEL: `{sign}` tidak boleh di situ ({where}); tulis {instead}",
    ),
    "cel_reserved": (
        "is not CEL: `{word}` is a word that CEL keeps for itself ({where}); take another name",
        "bukan CEL: `{word}` kata khusus CEL ({where}); pakai nama lain",
    ),
    "cel_other": ("is not CEL: {told} ({where})", "bukan CEL: {told} ({where})"),
    "speaks_of": (
        "speaks of `{name}`, which criteria do not know; they know {known}",
        "menyebut `{name}`, yang tidak dikenal kriteria; yang dikenal {known}",
    ),
    "misspelt": (
        "asks for the field `{name}`, which no person or household is declared to have{near}",
        "menanyakan `{name}`, yang tidak ada pada orang atau keluarga{near}",
    ),
    "unheard_of": (
        "asks for the field `{name}`, which no person or household is declared to have: the criterion is unknown "
        "wherever no agency sends it{near}",
        "menanyakan `{name}`, yang tidak ada pada orang atau keluarga: kriterianya tidak diketahui selama tidak ada "
        "instansi yang mengirimnya{near}",
    ),
    "never_equal": (
        "compares `{name}`, which is {holds}, with {literal}: they are never equal",
        "membandingkan `{name}`, yang isinya {holds}, dengan {literal}: keduanya tidak pernah sama",
    ),
    "never_so": (
        "asks for `{asked}`, which is never so{within}",
        "menanyakan `{asked}`, yang tidak pernah benar{within}",
    ),
    "never_at_once": (
        "asks for {asked}, which are never so at once",
        "menanyakan {asked}, yang tidak pernah benar bersamaan",
    ),
    "always_so": (
        "asks for `{asked}`, which is always so{within}",
        "menanyakan `{asked}`, yang selalu benar{within}",
    ),
    "no_such_field": (
        "asks for the field `{name}` where there is none",
        "menanyakan `{name}` di tempat yang tidak memilikinya",
    ),
    "types": (
        "cannot be evaluated: it puts values of different types together; a text stands in quotes, a number does not, "
        "and beside 2.5 write 1.0",
        "tidak dapat dihitung: menggabungkan isi yang jenisnya berbeda; teks dalam tanda kutip, angka tidak, dan di "
        "sebelah 2.5 tulis 1.0",
    ),
    "no_function": (
        "cannot be evaluated: `{name}` is nothing that CEL can do with this; see that it is spelt right",
        "tidak dapat dihitung: CEL tidak dapat melakukan `{name}` dengan ini; periksa ejaannya",
    ),
    "function_fails": (
        "cannot be evaluated: `{name}` can do nothing with what it is given",
        "tidak dapat dihitung: `{name}` tidak dapat mengolah yang diberikan kepadanya",
    ),
    "not_evaluated": ("cannot be evaluated: {told}", "tidak dapat dihitung: {told}"),
    "by_zero": (
        "cannot be evaluated, whoever is tried: division by zero",
        "tidak dapat dihitung bagi siapa pun: pembagian dengan nol",
    ),
    "beyond_end": (
        "cannot be evaluated, whoever is tried: it asks for a place that no list of these has",
        "tidak dapat dihitung bagi siapa pun: menanyakan urutan yang tidak ada dalam daftar",
    ),
    "never_evaluated": (
        "cannot be evaluated, whoever is tried: {told}",
        "tidak dapat dihitung bagi siapa pun: {told}",
    ),
    "no_truth": ("must come out as true or false", "hasilnya harus true atau false"),
    "no_rank": ("must come out as a number", "hasilnya harus angka"),
}

MILDER: Final[Mapping[Why, Severity]] = {
    "contradicts": "contradiction", "contradicts_all": "contradiction", "same_charge": "contradiction",
    "no_quota": "advice", "within_another": "advice", "due_to_nobody": "advice", "never_due": "advice",
    "fewer": "advice", "not_repeatable": "advice", "neighbours_overlap": "advice", "score_unasked": "advice",
    "gap": "advice", "never_decides": "advice", "never_decides_built_in": "advice", "begins_after": "advice",
    "passed": "advice", "passed_all": "advice", "uncharged": "advice", "uncharged_anywhere": "advice",
    "told_nothing": "advice", "digest": "advice", "digest_else": "advice", "not_reached": "advice",
    "no_address": "advice", "unheard_of": "advice", "always_so": "advice",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing wrong, filled in; as a text both languages in one line."""

    why: Why
    said: Said

    def __str__(self) -> str:
        return BETWEEN.join(self.said)

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return MILDER.get(self.why, "mistake")


def wrong(why: Why, /, **told: object) -> Wrong:
    """What is wrong, filled in; what is itself said differently in the two comes as a pair."""
    return Wrong(why, filled(SAID[why], **told))


def near(name: str, known: Iterable[str]) -> Said:
    """Which of those known was meant, to be put behind; nothing where none is like it."""
    found = get_close_matches(name, known, n=1)
    return (f"; did you mean `{found[0]}`?", f"; maksudnya `{found[0]}`?") if found else ("", "")
