"""Why a command can't go on or finds nothing, and what to do, in English and Indonesian: officers and agencies read
either. What services refuse they say themselves in both.

Invariants
- What ends a command is said in words of here (a test walks through the calls), but for what whoever starts a system of
  their own reads (`up`, `demo`).
- No file is told by more than its name, and nothing repeats what was in it.
"""

import errno
from collections.abc import Mapping
from typing import Final, Literal

from tepat_contracts.bilingual import Said, both

Why = Literal[
    "unexpected", "stopped",
    "see_help", "no_command", "no_option", "perhaps", "needs_value", "takes_no_value", "too_many_words",
    "no_answer", "other_service", "no_url", "token_not_taken", "not_allowed", "right_missing", "nothing_such",
    "went_wrong", "broke_off", "cut_off", "no_id",
    "bad_setting", "not_toml", "no_api", "no_token_of", "no_tokens", "no_stack", "stack_broken",
    "no_broker", "no_topic",
    "unreadable", "unwritable", "not_utf8", "there_already", "empty", "other_form",
    "old_excel", "web_page", "json_list", "torn_workbook", "no_headings", "several_kinds", "no_kind", "same_columns",
    "no_lines", "the_list_itself", "json_or_output",
    "no_agency_id", "what_to_send", "interrupted", "unanswered",
    "no_record", "not_sent_on", "no_quarantine", "not_quarantined", "what_to_replay",
    "other_columns", "lacks", "degrees", "add_or_lose",
    "agency_and_id", "whose_report", "shows_nothing", "no_pseudonym", "unknown_number", "no_institution",
    "nobody_knows", "known_by_none", "gaps",
    "not_applied", "not_simulated", "version_taken", "not_taken_in", "ends_before", "no_policy", "no_version",
    "no_moment", "no_level", "no_logs", "no_log",
    "nobody_got_any", "no_cases", "payouts_unknown", "nothing_happened", "no_money_kept", "nothing_planned",
    "nobody_seen", "no_findings", "not_in_ledger", "not_listed", "all_carried", "nothing_came_in", "no_funds",
    "no_members", "no_groups",
    "no_members_then", "nothing_received", "none", "no_report_names", "no_institutions", "no_kelurahan",
    "nothing_given", "no_notices", "nobody_hears", "acknowledged", "nothing_awaited",
    "no_replies", "no_objections", "no_overlaps", "no_household_said",
    "nothing_said", "quarantine_empty", "nobody_ranked", "no_rankings", "nothing_paid", "no_reports", "all_filed",
    "names_nobody", "no_rounds", "nobody", "no_coupons", "nobody_promised", "no_kelurahan_there", "no_targets",
    "all_declared", "nobody_needy", "no_batches", "all_confirmed", "nobody_visited", "no_visits",
    "no_decision_changes", "no_overlap_changes", "nothing_so", "nothing_by",
    "nobody_in_need", "everyone_receives", "everyone_received",
]  # fmt: skip
SAID: Final[Mapping[Why, Said]] = {
    "unexpected": (
        "this should not have happened ({error} in {where}); TEPAT_DEBUG=1 shows where",
        "ini seharusnya tidak terjadi ({error} di {where}); TEPAT_DEBUG=1 menunjukkan tempatnya",
    ),
    "stopped": ("stopped", "dihentikan"),
    "see_help": ("; see `{command} --help`", "; lihat `{command} --help`"),
    "no_command": (
        "`{command}` has no such command{near}; see `{command} --help`",
        "`{command}` tidak punya perintah itu{near}; lihat `{command} --help`",
    ),
    "no_option": ("there is no option {option}{near}", "tidak ada opsi {option}{near}"),
    "perhaps": (", perhaps {names} is meant", ", mungkin maksudnya {names}"),
    "needs_value": ("{option} needs a value: write it behind", "{option} perlu nilai: tulis di belakangnya"),
    "takes_no_value": ("{option} takes no value: write it alone", "{option} tanpa nilai: tulis opsinya saja"),
    "too_many_words": (
        "`{command}` was given more than it takes: put a text of several words in quotes",
        "`{command}` diberi lebih dari yang diminta: tulis teks beberapa kata dalam tanda kutip",
    ),
    "no_answer": (
        "{service} does not answer at {url} ({error}): is it running? `tepat logs --service {service}` may tell",
        "{service} tidak menjawab di {url} ({error}): apakah sedang berjalan? Lihat `tepat logs --service {service}`",
    ),
    "other_service": (
        "what answers at {url} is not {service}: look at --api",
        "yang menjawab di {url} bukan {service}: periksa --api",
    ),
    "no_url": ("{url} is not a URL: look at --api", "{url} bukan URL: periksa --api"),
    "token_not_taken": (
        "{service} takes no such token ({detail}): pick one with --as ROLE or TEPAT_TOKEN",
        "{service} tidak menerima token itu ({detail}): pilih yang lain dengan --as ROLE atau TEPAT_TOKEN",
    ),
    "not_allowed": (
        "{service}: {detail}; or pick another role with --as",
        "{service}: {detail}; atau pilih peran lain dengan --as",
    ),
    "right_missing": ("the right is missing", "haknya belum diberikan"),
    "nothing_such": ("there is no such thing", "tidak ditemukan"),
    "went_wrong": (
        "{service} answered {status} ({detail}): `tepat logs --service {service}` tells more",
        "{service} menjawab {status} ({detail}): lihat `tepat logs --service {service}`",
    ),
    "broke_off": (
        "{service} broke off: `tepat logs --service {service}` may tell why",
        "jawaban {service} terputus: sebabnya mungkin ada di `tepat logs --service {service}`",
    ),
    "cut_off": ("the answer was cut off: try again", "jawabannya terputus: coba lagi"),
    "no_id": (
        "‘{text}’ is no id or name: write the one that is meant, as the listing shows it",
        "‘{text}’ bukan nomor atau nama: tulis seperti yang tertera di daftar",
    ),
    "bad_setting": ("a setting is wrong: {told}", "ada pengaturan yang salah: {told}"),
    "not_toml": ("{path} is not TOML: {told}", "{path} bukan TOML: {told}"),
    "no_api": (
        "this command speaks with the services: name their base URL with --api or TEPAT_API",
        "perintah ini berhubungan dengan layanan: sebutkan URL-nya dengan --api atau TEPAT_API",
    ),
    "no_token_of": (
        "{data} has no token for ‘{role}’; it has {known}",
        "{data} tidak punya token untuk ‘{role}’; yang ada: {known}",
    ),
    "no_tokens": (
        "{data} has no token for ‘{role}’, nor for anybody: no stack has run there",
        "{data} tidak punya token untuk ‘{role}’ maupun siapa pun: belum ada sistem yang berjalan di sana",
    ),
    "no_stack": (
        "no stack is running in {data}: start one with `tepat up --data {data}`, or name a running one with --data DIR "
        "or a cluster with --kafka HOST:PORT",
        "tidak ada sistem yang berjalan di {data}: jalankan `tepat up --data {data}`, atau sebutkan yang sedang "
        "berjalan dengan --data DIR, atau klaster dengan --kafka HOST:PORT",
    ),
    "stack_broken": (
        "{path} can't be read ({error}): start the stack again",
        "{path} tidak bisa dibaca ({error}): jalankan lagi sistemnya",
    ),
    "no_broker": (
        "the brokers at {brokers} do not answer ({error}): is the stack running, and is --kafka or --data right?",
        "broker Kafka di {brokers} tidak menjawab ({error}): apakah sistemnya berjalan, dan --kafka atau --data benar?",
    ),
    "no_topic": (
        "the topic {topic} is not declared: apply a policy that names its agency (`tepat policy apply FILE`), or "
        "declare the topics of the policy in force (`tepat topics apply`)",
        "topik {topic} belum dibuat: terapkan kebijakan yang menyebut instansinya (`tepat policy apply FILE`), atau "
        "buat topik menurut kebijakan yang berlaku (`tepat topics apply`)",
    ),
    "unreadable": ("{path} can't be read: {why}", "{path} tidak bisa dibaca: {why}"),
    "unwritable": (
        "{path} can't be written ({why}): free it, or name another file",
        "{path} tidak bisa ditulis ({why}): tutup berkasnya, atau beri nama lain",
    ),
    "not_utf8": ("{path} is not UTF-8: save it so", "{path} bukan UTF-8: simpan ulang sebagai UTF-8"),
    "there_already": ("{path} is there already: name another file", "{path} sudah ada: beri nama lain"),
    "empty": ("{path} is empty: fill it in and save it", "{path} kosong: isi dan simpan"),
    "other_form": ("{path} would hold {form}: name it {name}", "{path} akan berisi {form}: beri nama {name}"),
    "old_excel": (
        "{path} is an old Excel file: open it and save it as .xlsx or CSV",
        "{path} berkas Excel lama: buka dan simpan sebagai .xlsx atau CSV",
    ),
    "web_page": (
        "{path} is a web page or XML that only looks like a sheet: save it as .xlsx or CSV",
        "{path} halaman web atau XML, bukan lembar kerja: simpan sebagai .xlsx atau CSV",
    ),
    "json_list": (
        "{path} is one JSON list: write one object a line (JSON Lines)",
        "{path} satu daftar JSON: tulis satu objek per baris (JSON Lines)",
    ),
    "torn_workbook": (
        "{path} is not a sound .xlsx workbook, and no text: open it and save it as .xlsx or CSV",
        "{path} bukan buku kerja .xlsx yang utuh dan bukan teks: buka dan simpan sebagai .xlsx atau CSV",
    ),
    "no_headings": (
        "{path} has no headings that are known here: name its columns as in the example that `tepat publish --template "
        "payouts` writes",
        "{path} tidak punya judul kolom yang dikenal: pakai judul seperti contoh `tepat publish --template payouts`",
    ),
    "several_kinds": (
        "{path} could be of more than one kind: say which with --kind",
        "isi {path} bisa lebih dari satu jenis: sebutkan dengan --kind",
    ),
    "no_kind": (
        "it can't be told what {path} holds: say it with --kind",
        "jenis isi {path} tidak dapat dikenali: sebutkan dengan --kind",
    ),
    "same_columns": (
        "the columns ‘{one}’ and ‘{other}’ both mean {field}: rename one of them",
        "kolom ‘{one}’ dan ‘{other}’ sama-sama berarti {field}: ganti nama salah satunya",
    ),
    "no_lines": (
        "{path} has no lines to check: fill in its rows, one a payment",
        "{path} tidak punya baris untuk diperiksa: isi barisnya, satu per pembayaran",
    ),
    "the_list_itself": (
        "{path} is the list itself: name another with --output",
        "{path} adalah daftar itu sendiri: beri nama lain dengan --output",
    ),
    "json_or_output": (
        "--json tells the answers, --output writes them: take one",
        "--json menampilkan jawaban, --output menuliskannya: pilih satu",
    ),
    "no_agency_id": (
        "‘{agency}’ is no agency: 3–40 of a–z, 0–9 and -, such as dinsos-jateng",
        "‘{agency}’ bukan kode instansi: 3–40 huruf kecil a–z, angka dan -, contoh dinsos-jateng",
    ),
    "what_to_send": (
        "say what to send and whose it is: tepat publish FILE --agency ID",
        "sebutkan berkas dan instansinya: tepat publish FILE --agency ID",
    ),
    "interrupted": (
        "interrupted: what was sent stays sent; send the file again for the rest, twice changes nothing",
        "dihentikan: yang sudah terkirim tetap terkirim; kirim lagi berkasnya untuk sisanya, dua kali tidak mengubah "
        "apa pun",
    ),
    "unanswered": (
        "{unanswered} records were sent, but nobody answered for them within {timeout:g} s: is the service up? `tepat "
        "logs` may tell; sending the file again changes nothing",
        "{unanswered} baris terkirim tetapi belum dijawab dalam {timeout:g} detik: apakah layanannya berjalan? Lihat "
        "`tepat logs`; mengirim lagi tidak mengubah apa pun",
    ),
    "no_record": (
        "‘{text}’ names no record: write TOPIC-PARTITION-OFFSET, such as agency.dinsos.payouts.v1-3-42",
        "‘{text}’ bukan nama data: tulis TOPIC-PARTITION-OFFSET, contoh agency.dinsos.payouts.v1-3-42",
    ),
    "not_sent_on": (
        "{topic} is no topic that agencies send on: `tepat quarantine list` names the records",
        "{topic} bukan topik kiriman instansi: lihat nama data di `tepat quarantine list`",
    ),
    "no_quarantine": (
        "{service} keeps no quarantine; {owners} do",
        "{service} tidak punya karantina; yang punya: {owners}",
    ),
    "not_quarantined": (
        "{record} is not in quarantine: `tepat quarantine list` names what is",
        "{record} tidak ada di karantina: lihat `tepat quarantine list`",
    ),
    "what_to_replay": (
        "say what to replay: the records' IDs, or --reason R, or --all",
        "sebutkan yang diproses ulang: ID datanya, atau --reason R, atau --all",
    ),
    "other_columns": (
        "{path} has columns that are none of a delivery: {columns}",
        "{path} memuat kolom yang bukan kolom penyerahan: {columns}",
    ),
    "lacks": (
        "a delivery needs a coupon or subject, a time, an officer, a region, and a photo or receipt",
        "penyerahan perlu kupon atau subjek (coupon, subject), waktu (at), petugas (officer), wilayah (region), dan "
        "foto atau tanda terima (photo, receipt)",
    ),
    "degrees": ("lat and lon are degrees, as -6.9831 and 110.4093", "lat dan lon dalam derajat: -6.9831 dan 110.4093"),
    "add_or_lose": (
        "name --add with how many came, or --lose with how many were lost",
        "sebutkan --add dengan jumlah yang bertambah, atau --lose dengan jumlah yang hilang",
    ),
    "agency_and_id": (
        "‘{named}’ names nothing of an agency's: write AGENCY/ID, as listings do",
        "‘{named}’ tidak menyebut instansinya: tulis AGENCY/ID, seperti di daftar",
    ),
    "whose_report": (
        "agencies number for themselves: name it as AGENCY/ID, such as rt-07/{report}",
        "tiap instansi punya penomoran sendiri: tulis AGENCY/ID, contoh rt-07/{report}",
    ),
    "shows_nothing": ("{path} is empty: it shows nothing", "{path} kosong: tidak membuktikan apa pun"),
    "no_pseudonym": (
        "that is no {kind} of 16 digits and no pseudonym: see that it is typed right",
        "itu bukan {kind} 16 angka dan bukan pseudonim: periksa ketikannya",
    ),
    "unknown_number": (
        "the registry knows no card and no person by that number: see that it is typed right",
        "tidak ada KK atau orang yang tercatat dengan nomor itu: periksa ketikannya",
    ),
    "no_institution": (
        "{agency} has registered no institution {institution} at work in {region}: see `tepat institutions list "
        "--region {region}`",
        "{agency} tidak mendaftarkan lembaga {institution} yang bekerja di {region}: lihat `tepat institutions list "
        "--region {region}`",
    ),
    "nobody_knows": (
        "no service knows ‘{thing}’: is it an event, AGENCY/PAYOUT or /REPORT, overlap, case, finding, household, "
        "round or coupon?",
        "tidak ada layanan yang mengenal ‘{thing}’: apakah itu kejadian (event), AGENCY/PAYOUT atau /REPORT, "
        "tumpang tindih, kasus, temuan, keluarga, penyaluran atau kupon?",
    ),
    "known_by_none": (
        "nothing is known of it by the services that answer: try again when all do",
        "layanan yang menjawab tidak mengenalnya: coba lagi setelah semua layanan menjawab",
    ),
    "gaps": (
        "the path may have gaps: not every service answered",
        "riwayatnya mungkin tidak lengkap: tidak semua layanan menjawab",
    ),
    "not_applied": (
        "{path} is not applied: repair what is told above",
        "{path} tidak diterapkan: perbaiki yang disebut di atas",
    ),
    "not_simulated": (
        "{path} is not simulated: repair what is told above",
        "{path} tidak disimulasikan: perbaiki yang disebut di atas",
    ),
    "version_taken": (
        "version ‘{version}’ was published with another content, and decisions name it: give this one another version",
        "versi ‘{version}’ sudah terbit dengan isi lain dan disebut dalam keputusan: beri versi lain",
    ),
    "not_taken_in": (
        "the policy is published, but not every service has taken it in {timeout:.0f} s: {told}",
        "kebijakan sudah terbit, tetapi belum semua layanan menerimanya dalam {timeout:.0f} detik: {told}",
    ),
    "ends_before": (
        "the period ends before it begins: {first} – {last}",
        "masa berakhir sebelum mulai: {first} – {last}",
    ),
    "no_policy": (
        "no policy was applied yet: `tepat policy apply FILE`",
        "belum ada kebijakan yang berlaku: jalankan `tepat policy apply FILE`",
    ),
    "no_version": (
        "there is no version ‘{version}’; there are, as they came into force: {versions}",
        "tidak ada versi ‘{version}’; yang ada, urut mulai berlaku: {versions}",
    ),
    "no_moment": (
        "‘{text}’ is no moment: write 10m, 2h, 3d or 2026-01-31T08:00",
        "‘{text}’ bukan waktu: tulis 10m, 2h, 3d atau 2026-01-31T08:00",
    ),
    "no_level": ("‘{level}’ is no level: write {levels}", "‘{level}’ bukan tingkat: tulis {levels}"),
    "no_logs": (
        "{path} does not exist: no stack has run in {data}; name another with --data DIR",
        "{path} tidak ada: belum ada sistem yang berjalan di {data}; sebutkan yang lain dengan --data DIR",
    ),
    "no_log": ("{path} has no log of {service}", "{path} tidak punya log {service}"),
    "nobody_got_any": ("nobody got any there", "belum ada yang menerimanya di sana"),
    "no_cases": ("no case", "tidak ada kasus"),
    "payouts_unknown": ("neither payout is known any more", "kedua pembayaran tidak dikenal lagi"),
    "nothing_happened": ("nothing happened", "belum ada kejadian"),
    "no_money_kept": (
        "nothing was prevented, recovered or kept yet",
        "belum ada yang dicegah, dikembalikan atau dibiarkan",
    ),
    "nothing_planned": ("no planned payout", "tidak ada pembayaran yang direncanakan"),
    "nobody_seen": (
        "nobody was disclosed so: see that account and days are as you mean them",
        "tidak ada data yang dibuka seperti itu: periksa akun dan tanggalnya",
    ),
    "no_findings": ("nothing is found", "tidak ada temuan"),
    "not_in_ledger": ("none that the ledger has", "tidak ada dalam catatan pembayaran"),
    "not_listed": (
        "{payouts} live ones, too many to list or to look through for overlaps: more than {most} are an error of data, "
        "not a family; correct in the registry who belongs to it",
        "{payouts} pembayaran berlaku, terlalu banyak untuk ditampilkan atau diperiksa tumpang tindihnya: lebih dari "
        "{most} berarti data keliru, bukan satu keluarga; perbaiki dulu siapa anggotanya di data induk",
    ),
    "all_carried": ("it could carry everything", "semuanya dapat ditanggung dana"),
    "nothing_came_in": ("nothing came in yet", "belum ada pemasukan"),
    "no_funds": ("no fund is open there", "belum ada dana yang dibuka di sana"),
    "no_members": ("nobody is in it yet", "belum ada anggotanya"),
    "no_groups": ("no group was formed there", "belum ada kelompok di sana"),
    "no_members_then": ("nobody belonged to it then", "belum ada anggotanya pada hari itu"),
    "nothing_received": ("nothing", "tidak menerima apa pun"),
    "none": ("none", "tidak ada"),
    "no_report_names": ("none names them", "tidak ada yang menyebut mereka"),
    "no_institutions": ("no institution", "tidak ada lembaga"),
    "no_kelurahan": ("the area has no kelurahan", "wilayah itu tidak punya kelurahan"),
    "nothing_given": ("nothing was given there", "belum ada yang diberikan di sana"),
    "no_notices": ("there are no such notices", "tidak ada pemberitahuan seperti itu"),
    "nobody_hears": ("nobody hears of it", "tidak ada yang diberi tahu"),
    "acknowledged": ("{code} is acknowledged", "{code} sudah dikonfirmasi"),
    "nothing_awaited": ("{code} waits for no acknowledgement", "{code} tidak sedang menunggu konfirmasi"),
    "no_replies": ("nobody has written back", "belum ada yang membalas"),
    "no_objections": ("no objection", "tidak ada sanggahan"),
    "no_overlaps": ("no overlap", "tidak ada tumpang tindih"),
    "no_household_said": ("no agency says in whose household", "tidak ada instansi yang menyebut keluarganya"),
    "nothing_said": ("no agency says anything of this person", "tidak ada instansi yang menyebut orang ini"),
    "quarantine_empty": ("nothing is in quarantine", "karantina kosong"),
    "nobody_ranked": ("nobody was ranked", "tidak ada yang diperingkat"),
    "no_rankings": ("no round", "belum ada pemeringkatan"),
    "nothing_paid": (
        "nothing was planned or paid there and then",
        "tidak ada yang direncanakan atau dibayarkan di sana pada masa itu",
    ),
    "no_reports": ("no report", "tidak ada laporan"),
    "all_filed": ("every answer is to a report that was filed", "semua jawaban ada laporannya"),
    "names_nobody": ("it names nobody", "tidak menyebut siapa pun"),
    "no_rounds": ("no round", "belum ada penyaluran"),
    "nobody": ("nobody", "tidak seorang pun"),
    "no_coupons": ("no coupon is to be redeemed", "tidak ada kupon yang menunggu ditukar"),
    "nobody_promised": ("nobody is promised anything", "belum ada yang dijanjikan paket"),
    "no_kelurahan_there": ("no kelurahan is known there", "tidak ada kelurahan yang dikenal di sana"),
    "no_targets": (
        "the policy has no targets for it (`adoption`)",
        "kebijakan tidak punya target untuknya (`adoption`)",
    ),
    "all_declared": ("every topic is there", "semua topik sudah ada"),
    "nobody_needy": ("nobody there is known to be needy", "tidak ada warga miskin yang dikenal di sana"),
    "no_batches": ("no batch", "belum ada daftar kunjungan"),
    "all_confirmed": ("all who were visited are confirmed", "semua yang dikunjungi terkonfirmasi"),
    "nobody_visited": ("nobody was visited", "belum ada yang dikunjungi"),
    "no_visits": ("no visit", "tidak ada kunjungan"),
    "no_decision_changes": ("no decision would change", "tidak ada keputusan yang berubah"),
    "no_overlap_changes": ("no overlap would appear or vanish", "tidak ada tumpang tindih yang muncul atau hilang"),
    "nothing_so": ("nothing is {state}", "tidak ada dugaan berstatus {state}"),
    "nothing_by": (
        "{none}; nothing at all is there by {option} ‘{name}’: see that it is spelt right",
        "{none}; tidak ada apa pun dengan {option} ‘{name}’: periksa ejaannya",
    ),
    "nobody_in_need": (
        "nobody there is known to need anything",
        "tidak ada warga di sana yang diketahui membutuhkan bantuan",
    ),
    "everyone_receives": (
        "everyone there receives something: {needy} needy households",
        "semua di sana menerima bantuan: {needy} keluarga miskin",
    ),
    "everyone_received": (
        "everyone there received something within {days} days: {needy} needy households",
        "semua di sana menerima bantuan dalam {days} hari: {needy} keluarga miskin",
    ),
}

_OF_FILES: Final[Mapping[int | None, Said]] = {
    errno.ENOENT: ("there is no such file or directory", "berkas atau foldernya tidak ada"),
    errno.EACCES: ("you may not", "Anda tidak diizinkan"),
    errno.EPERM: ("you may not", "Anda tidak diizinkan"),
    errno.EISDIR: ("it is a directory", "itu folder, bukan berkas"),
    errno.ENOTDIR: ("its directory is a file", "foldernya ternyata berkas"),
    errno.ENOSPC: ("the disk is full", "penyimpanan penuh"),
    errno.EROFS: ("nothing can be written there", "tempat itu hanya bisa dibaca"),
}


def words(why: Why, /, **told: object) -> str:
    """Both languages, filled in; what is said differently in the two comes as a pair."""
    return both(SAID[why], **told)


def of_file(wrong: OSError) -> Said:
    """What is wrong with a file; as the system says it, where that is rare."""
    told = wrong.strerror or type(wrong).__name__
    return _OF_FILES.get(wrong.errno, (told, told))
