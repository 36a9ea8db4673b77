"""What the columns of an office's file mean: one table per kind, headings in Indonesian and English.

Kept here: every column names the field of `contracts.md` it fills; two columns of one file never fill the same
field; a column that is not known is named to the user and used for nothing. What a row leaves out is absent from
the event, with three exceptions, because no office writes them: `revision` (0, or the command's `--revision`),
`benefit.kind` (cash), and empty `attributes`, `answers` and `people`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from tepat_cli.values import (
    Cell,
    day,
    degrees,
    instant,
    number,
    plain,
    region,
    rupiah,
    several,
    sixteen_digits,
    text,
    whole,
    words,
    yes,
)

Data = dict[str, Any]
Read = Callable[[Cell], object]

STATUS: Final = words(
    {
        "planned": "direncanakan,rencana,akan disalurkan,usulan",
        "disbursed": "disalurkan,tersalur,salur,sudah disalurkan,dibayar,dibayarkan,cair,paid",
        "cancelled": "dibatalkan,batal,canceled",
        "returned": "dikembalikan,kembali,retur",
    }
)
SEX: Final = words(
    {
        "L": "laki-laki,laki,lk,pria,m,male",
        "P": "perempuan,pr,wanita,f,female",
    }
)
RELATION: Final = words(
    {
        "head": "kepala keluarga,kepala,kk",
        "spouse": "istri,isteri,suami,pasangan",
        "child": "anak,anak kandung,anak tiri,anak angkat",
        "parent": "orang tua,ayah,ibu,mertua",
        "other": "lainnya,lain,famili lain,famili,menantu,cucu,pembantu",
    }
)
BENEFIT: Final = words(
    {
        "cash": "tunai,uang,uang tunai,non tunai,transfer",
        "food": "pangan,sembako,beras,makanan",
        "goods": "barang,alat,alat bantu",
        "service": "jasa,layanan",
        "capital": "modal,modal usaha",
    }
)
SCHOOL: Final = words({"SD": "mi,sekolah dasar", "SMP": "mts", "SMA": "smk,ma", "none": "tidak sekolah,tidak"})
ROLE: Final = words(
    {
        "rt": "ketua rt",
        "rw": "ketua rw",
        "lurah": "kelurahan",
        "kades": "kepala desa",
        "lsm": "ngo,yayasan",
        "business": "usaha,dunia usaha,perusahaan",
        "citizen": "warga,masyarakat",
        "wksbm": "",
    }
)
REPORT: Final = words(
    {
        "unserved_poor": "miskin belum terlayani,miskin tidak terlayani,belum menerima bantuan",
        "school_dropout": "putus sekolah",
        "neglected_child": "anak terlantar",
        "disability": "disabilitas,penyandang disabilitas",
        "fire": "kebakaran",
        "flood": "banjir",
        "landslide": "tanah longsor,longsor",
        "other": "lainnya,lain",
    }
)
OUTCOME: Final = words(
    {
        "confirmed": "layak,sesuai,terkonfirmasi,memenuhi syarat",
        "rejected": "tidak layak,ditolak,tidak sesuai,tidak memenuhi syarat",
        "moved": "pindah",
        "deceased": "meninggal,meninggal dunia",
        "not_found": "tidak ditemukan",
    }
)
GROUNDS: Final = words(
    {
        "wrongly_excluded": "seharusnya menerima,layak tetapi tidak menerima,tidak terdaftar",
        "wrongly_included": "seharusnya tidak menerima,tidak layak tetapi menerima,tidak layak menerima",
    }
)
NIK: Final = sixteen_digits("nik_invalid")
KK: Final = sixteen_digits("kk_invalid")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the field it fills, its heading in the template, how a cell is read, its other headings.

    `hint` is Indonesian and English, divided by a slash; it opens with `*` where no row may go without.
    """

    path: str
    heading: str
    read: Read
    hint: str
    example: str = ""
    also: str = ""


@dataclass(frozen=True)
class Kind:
    """One kind of file: its columns, and what becomes of a row.

    `dated_by` are the fields whose first present one gives the event's time; `key` those that give the record's
    key, which the contracts advise; `shapes` tell a bare JSON object's type by the fields it has, the first that
    fits; `always` is what every event of a row carries.
    """

    name: str
    columns: tuple[Column, ...]
    dated_by: tuple[str, ...]
    key: tuple[str, ...]
    shapes: tuple[tuple[frozenset[str], str], ...]
    type: str
    always: tuple[tuple[str, object], ...] = ()
    topic: str = ""
    """The kind of topic it is sent to, where that is not its name."""

    @property
    def sent_as(self) -> str:
        """The kind of topic it is sent to."""
        return self.topic or self.name

    @cached_property
    def names(self) -> dict[str, Column]:
        """Each column by every way its heading may be written, as `plain` text."""
        names: dict[str, Column] = {}
        for column in self.columns:
            names[plain(column.path)] = names[plain(column.heading)] = column
        for column in self.columns:
            for name in filter(None, column.also.split(",")):
                names.setdefault(plain(name), column)
        for column in self.columns:
            names.setdefault(plain(column.path.rpartition(".")[2]), column)
        return names

    def column(self, heading: str) -> Column | None:
        """The column a heading means: `Nominal (Rp)` is `Nominal`, `jawaban atap` an answer of the officer's own."""
        if found := self.names.get(plain(heading)) or self.names.get(plain(heading.partition("(")[0])):
            return found
        own = _ANSWER.fullmatch(heading.strip()) if self is VERIFICATIONS else None
        return Column(f"answers.{own[1]}", heading, text, "") if own else None


_ANSWER: Final = re.compile(r"(?:jawaban|answers?)[ ._:]+(\w+)", re.IGNORECASE)
"""A heading that names an answer of the officer's own."""

_REVISION: Final = Column(
    "revision",
    "Revisi",
    whole,
    "0, lalu 1, 2 … untuk perbaikan / 0, then 1, 2 … for corrections",
    "0",
    "perbaikan,rev",
)
_REASON: Final = Column("reason", "Alasan", text, "alasan / reason", "", "sebab,alasan batal,alasan penolakan")
_REGION: Final = Column(
    "region",
    "Kode Wilayah",
    region,
    "*kode Kemendagri kelurahan atau desa / Kemendagri code of the village",
    "33.74.01.1001",
    "wilayah,kode kelurahan,kode desa,kode kelurahan/desa,kode desa/kelurahan,kode kel,kode kemendagri",
)
_NAMES: Final = "name,nama penerima,nama lengkap,nama kpm,nama anggota,nama warga,full name"
_NIK_ALSO: Final = "nik penerima,nik kpm,no nik,nomor nik,no ktp,nomor ktp,nomor induk kependudukan"
_KK_ALSO: Final = "no kartu keluarga,nomor kk,nomor kartu keluarga,kartu keluarga,nkk,no kk penerima"
_NIK_HINT: Final = "*16 angka, kolom berformat Teks / 16 digits, column formatted as Text"
_BIRTH: Final = "tgl lahir,lahir,date of birth,dob"
_PROGRAMME_ALSO: Final = "program bantuan,kode program,nama program,program code,program"
_TIME: Final = "waktu kejadian,timestamp,tanggal,tgl"

PAYOUTS: Final = Kind(
    name="payouts",
    type="tepat.payout.planned.v1",
    key=("payout_id",),
    dated_by=("covers.from", "through"),
    shapes=((frozenset({"through"}), "tepat.source.complete.v1"),),
    always=(("revision", 0), ("benefit.kind", "cash")),
    columns=(
        Column(
            "payout_id",
            "ID Bayar",
            text,
            "*tidak berulang dalam satu instansi / unique within the agency",
            "CONTOH-PKH-2026-T1-000123",
            "id pembayaran,id payout,no bayar,nomor bayar,nomor pembayaran,no pembayaran,kode bayar,kode pembayaran",
        ),
        Column(
            "status",
            "Status",
            STATUS,
            "direncanakan, disalurkan, dibatalkan, dikembalikan / planned, disbursed, cancelled, returned",
            "direncanakan",
            "state,status bayar,status pembayaran,status penyaluran,status salur",
        ),
        _REVISION,
        Column("programme", "Program", text, "*kode program / programme code", "PKH", _PROGRAMME_ALSO),
        Column(
            "covers.from",
            "Mulai",
            day,
            "*hari pertama masa bantuan / first day it is for",
            "01/01/2026",
            "dari,dari tanggal,tanggal mulai,tgl mulai,mulai tanggal,periode mulai,periode awal,periode dari,awal,"
            "start,valid from",
        ),
        Column(
            "covers.to",
            "Sampai",
            day,
            "*hari terakhir masa bantuan / last day it is for",
            "31/03/2026",
            "sampai tanggal,s.d.,s/d,hingga,tanggal selesai,tanggal akhir,tgl selesai,tgl akhir,periode akhir,"
            "periode sampai,akhir,selesai,end,until",
        ),
        Column("recipient.nik", "NIK", NIK, _NIK_HINT, "3374014505900001", _NIK_ALSO),
        Column(
            "recipient.kk",
            "No KK",
            KK,
            "16 angka, kolom berformat Teks / 16 digits, column formatted as Text",
            "3374010101160001",
            _KK_ALSO,
        ),
        Column("recipient.name", "Nama", text, "nama penerima / recipient's name", "Siti Contoh", _NAMES),
        Column("recipient.birth_date", "Tanggal Lahir", day, "tanggal lahir / birth date", "05/05/1990", _BIRTH),
        Column(
            "benefit.kind",
            "Bentuk",
            BENEFIT,
            "tunai (bila kosong), pangan, barang, jasa, modal / cash (if empty), food, goods, service, capital",
            "tunai",
            "bentuk bantuan,jenis manfaat,wujud,benefit",
        ),
        Column(
            "benefit.amount",
            "Nominal",
            rupiah,
            "*rupiah penuh / whole rupiah",
            "Rp 750.000",
            "jumlah,jumlah uang,jumlah bantuan,nilai,nilai bantuan,nominal bantuan,besaran,besar bantuan,total",
        ),
        Column(
            "benefit.quantity",
            "Banyaknya",
            number,
            "banyaknya barang / how much of it",
            "",
            "kuantitas,jumlah barang,qty,volume",
        ),
        Column("benefit.unit", "Satuan", text, "kg, paket … / kg, package …"),
        _REGION,
        Column("tranche", "Tahap", text, "tahap / tranche", "2026-T1", "termin,tahap penyaluran"),
        Column("component", "Komponen", text, "komponen / component", "SD", "komponen bantuan"),
        Column(
            "channel",
            "Penyalur",
            text,
            "bank, pos … / bank, post …",
            "",
            "kanal,bank,bank penyalur,lembaga bayar",
        ),
        Column(
            "reason",
            "Alasan",
            text,
            "untuk batal dan kembali / when cancelled or returned",
            "",
            "sebab,alasan batal",
        ),
        Column(
            "time",
            "Waktu",
            instant,
            "kapan dicatat; bila kosong hari Mulai / when noted; if empty the first day",
            "",
            f"{_TIME},tanggal salur,tgl salur,tanggal penyaluran,tanggal bayar,tgl bayar",
        ),
    ),
)

BENEFICIARIES: Final = Kind(
    name="beneficiaries",
    type="tepat.person.recorded.v1",
    key=("nik", "from_nik", "from_kk", "institution_id"),
    dated_by=("since", "through"),
    shapes=(
        (frozenset({"from_nik", "into_nik"}), "tepat.persons.merged.v1"),
        (frozenset({"from_nik"}), "tepat.persons.unmerged.v1"),
        (frozenset({"from_kk"}), "tepat.household.renewed.v1"),
        (frozenset({"institution_id"}), "tepat.institution.recorded.v1"),
        (frozenset({"through"}), "tepat.source.complete.v1"),
    ),
    always=(("revision", 0), ("attributes", {})),
    columns=(
        Column("nik", "NIK", NIK, _NIK_HINT, "3374014505900001", _NIK_ALSO),
        _REVISION,
        Column("name", "Nama", text, "*nama lengkap / full name", "Siti Contoh", _NAMES),
        Column("sex", "Jenis Kelamin", SEX, "*L atau P / L (male) or P (female)", "P", "jk,l/p,kelamin,gender"),
        Column("birth_date", "Tanggal Lahir", day, "*tanggal lahir / birth date", "05/05/1990", _BIRTH),
        _REGION,
        Column("kk", "No KK", KK, _NIK_HINT, "3374010101160001", _KK_ALSO),
        Column(
            "since",
            "Sejak",
            day,
            "*anggota KK ini sejak / belongs to this KK since",
            "01/01/2024",
            "terdaftar sejak,mulai,tmt,tanggal mulai,tgl mulai",
        ),
        Column(
            "until",
            "Sampai",
            day,
            "hari terakhir, bila sudah pindah / last day, if moved",
            "",
            "hingga,tanggal akhir,tgl akhir",
        ),
        Column(
            "relation",
            "Hubungan",
            RELATION,
            "kepala, istri, suami, anak, orang tua, lainnya / head, spouse, child, parent, other",
            "istri",
            "hubungan keluarga,shdk,status hubungan,status dalam keluarga,hubungan dalam keluarga",
        ),
        Column(
            "deceased_on",
            "Tanggal Meninggal",
            day,
            "bila meninggal / if deceased",
            "",
            "meninggal,tgl meninggal,wafat",
        ),
        Column("attributes.decile", "Desil", whole, "1–10 / 1–10", "2", "desil dtsen,desil kesejahteraan"),
        Column("attributes.pmt_score", "Skor PMT", number, "skor / score", "", "pmt,skor"),
        Column("attributes.occupation", "Pekerjaan", text, "pekerjaan / occupation", "Buruh", "mata pencaharian"),
        Column(
            "attributes.disability",
            "Disabilitas",
            yes,
            "ya atau tidak / yes or no",
            "tidak",
            "penyandang disabilitas,difabel",
        ),
        Column("attributes.pregnant", "Hamil", yes, "ya atau tidak / yes or no", "tidak", "ibu hamil"),
        Column(
            "attributes.school_level",
            "Sekolah",
            SCHOOL,
            "SD, SMP, SMA, tidak / SD, SMP, SMA, none",
            "",
            "jenjang,jenjang sekolah",
        ),
        Column("attributes.orphan", "Yatim", yes, "ya atau tidak / yes or no", "tidak", "yatim piatu,anak yatim"),
        Column(
            "attributes.rights_violation",
            "Korban pelanggaran HAM",
            yes,
            "ya atau tidak / yes or no",
            "tidak",
            "korban ham,korban pelanggaran ham berat",
        ),
        Column(
            "attributes.ppks",
            "PPKS",
            several,
            "kode kategori, dengan koma / category codes, with commas",
            "",
            "kategori ppks,pmks",
        ),
        Column(
            "time",
            "Waktu",
            instant,
            "kapan dicatat; bila kosong hari Sejak / when noted; if empty the day of Sejak",
            "",
            _TIME,
        ),
    ),
)

REPORTS: Final = Kind(
    name="reports",
    type="tepat.report.filed.v1",
    key=("report_id",),
    dated_by=("happened_on", "through"),
    shapes=(
        (frozenset({"report_id", "outcome"}), "tepat.report.answered.v1"),
        (frozenset({"through"}), "tepat.source.complete.v1"),
    ),
    always=(("revision", 0), ("people", [])),
    columns=(
        Column(
            "report_id",
            "ID Laporan",
            text,
            "*nomor laporan / number of the report",
            "CONTOH-LAP-0001",
            "no laporan,nomor laporan",
        ),
        _REVISION,
        Column(
            "filed_by.role",
            "Pelapor",
            ROLE,
            "*rt, rw, lurah, kades, lsm, usaha, warga, wksbm / … lsm (NGO), business, citizen …",
            "rt",
            "peran pelapor,jenis pelapor",
        ),
        Column("filed_by.name", "Nama Pelapor", text, "nama pelapor / who reports", "Budi Contoh"),
        Column(
            "filed_by.contact",
            "Kontak Pelapor",
            text,
            "telepon atau surel / phone or e-mail",
            "",
            "kontak,telepon,hp,no hp",
        ),
        Column(
            "kind",
            "Jenis Laporan",
            REPORT,
            "*miskin belum terlayani, putus sekolah, anak terlantar, disabilitas, kebakaran, banjir, longsor, lain / "
            "unserved_poor, school_dropout, neglected_child, disability, fire, flood, landslide, other",
            "miskin belum terlayani",
            "jenis,jenis kejadian,kategori",
        ),
        _REGION,
        Column("people.nik", "NIK", NIK, "NIK warga yang dilaporkan / NIK of the person concerned", "", _NIK_ALSO),
        Column(
            "people.name",
            "Nama",
            text,
            "nama warga yang dilaporkan / person concerned",
            "Siti Contoh",
            _NAMES,
        ),
        Column("people.birth_date", "Tanggal Lahir", day, "tanggal lahir / birth date", "", _BIRTH),
        Column("people.note", "Catatan", text, "catatan / note", "", "keterangan"),
        Column(
            "households",
            "Jumlah KK",
            whole,
            "banyaknya keluarga / number of families",
            "1",
            "jumlah keluarga",
        ),
        Column(
            "happened_on",
            "Tanggal Kejadian",
            day,
            "hari kejadian / day it happened",
            "02/01/2026",
            "tgl kejadian",
        ),
        Column(
            "text",
            "Uraian",
            text,
            "*uraian / what happened",
            "Belum pernah menerima bantuan",
            "isi laporan,laporan,deskripsi",
        ),
        Column(
            "time",
            "Waktu",
            instant,
            "kapan dilaporkan; bila kosong Tanggal Kejadian / when reported; if empty the day it happened",
            "",
            f"{_TIME},tanggal laporan,tgl laporan,tanggal lapor,tgl lapor",
        ),
    ),
)

VERIFICATIONS: Final = Kind(
    name="verifications",
    type="tepat.verification.recorded.v1",
    key=("nik",),
    dated_by=("verified_on", "listed_on", "filed_on", "through"),
    shapes=(
        (frozenset({"listed_on"}), "tepat.verification.listed.v1"),
        (frozenset({"objection_id"}), "tepat.objection.filed.v1"),
        (frozenset({"through"}), "tepat.source.complete.v1"),
    ),
    always=(("revision", 0), ("answers", {})),
    columns=(
        Column(
            "verification_id",
            "ID Verifikasi",
            text,
            "*nomor verifikasi / number of the verification",
            "CONTOH-VER-0001",
            "no verifikasi,nomor verifikasi",
        ),
        _REVISION,
        Column(
            "batch",
            "Gelombang",
            text,
            "*daftar atau putaran / list or round",
            "2026-01",
            "angkatan,putaran,daftar",
        ),
        Column("nik", "NIK", NIK, _NIK_HINT, "3374014505900001", _NIK_ALSO),
        Column("programme", "Program", text, "kode program / programme code", "PKH", _PROGRAMME_ALSO),
        Column(
            "outcome",
            "Hasil",
            OUTCOME,
            "*layak, tidak layak, pindah, meninggal, tidak ditemukan / confirmed, rejected, moved, deceased, not_found",
            "layak",
            "hasil verifikasi,hasil verval",
        ),
        _REASON,
        Column(
            "verified_on",
            "Tanggal Verifikasi",
            day,
            "*hari verifikasi / day of the visit",
            "02/01/2026",
            "tgl verifikasi,tanggal verval",
        ),
        Column("officer", "Petugas", text, "*petugas / officer", "Budi Contoh", "nama petugas,verifikator"),
        _REGION,
        Column(
            "time",
            "Waktu",
            instant,
            "bila kosong Tanggal Verifikasi / if empty the day of the visit",
            "",
            _TIME,
        ),
    ),
)

LISTS: Final = Kind(
    name="lists",
    topic="verifications",
    type="tepat.verification.listed.v1",
    key=("nik",),
    dated_by=("listed_on",),
    shapes=(),
    always=(("revision", 0),),
    columns=(
        Column(
            "batch",
            "Gelombang",
            text,
            "*daftar atau putaran / list or round",
            "2026-01",
            "angkatan,putaran,daftar",
        ),
        _REVISION,
        Column("nik", "NIK", NIK, _NIK_HINT, "3374014505900001", _NIK_ALSO),
        Column("programme", "Program", text, "kode program / programme code", "PKH", _PROGRAMME_ALSO),
        _REGION,
        Column(
            "listed_on",
            "Tanggal Daftar",
            day,
            "*hari masuk daftar kunjungan / day of the list of whom to visit",
            "02/01/2026",
            "tgl daftar,tanggal pendaftaran,tanggal usulan,tgl usulan",
        ),
    ),
)


def photos(cell: Cell) -> list[dict[str, str]]:
    """SHA-256 of photos, divided by commas."""
    return [{"kind": "photo", "sha256": each} for each in several(cell)]


OBJECTIONS: Final = Kind(
    name="objections",
    topic="verifications",
    type="tepat.objection.filed.v1",
    key=("nik",),
    dated_by=("filed_on",),
    shapes=(),
    always=(("revision", 0),),
    columns=(
        Column(
            "objection_id",
            "ID Sanggahan",
            text,
            "*nomor sanggahan / number of the objection",
            "CONTOH-SGH-0001",
            "no sanggahan,nomor sanggahan",
        ),
        _REVISION,
        Column("nik", "NIK", NIK, _NIK_HINT, "3374014505900001", _NIK_ALSO),
        Column("programme", "Program", text, "*kode program / programme code", "PKH", _PROGRAMME_ALSO),
        Column(
            "grounds",
            "Alasan Sanggah",
            GROUNDS,
            "*seharusnya menerima, seharusnya tidak menerima / wrongly_excluded, wrongly_included",
            "seharusnya menerima",
            "sanggahan,jenis sanggahan",
        ),
        _REGION,
        Column(
            "filed_on",
            "Tanggal Sanggah",
            day,
            "*hari sanggahan diajukan / day it was filed",
            "02/01/2026",
            "tgl sanggah,tanggal sanggahan",
        ),
        Column(
            "evidence",
            "Foto Rumah",
            photos,
            "*SHA-256 foto rumah / SHA-256 of photos of the house",
            "1e" * 32,
            "foto,sha256,sha256 foto",
        ),
        Column(
            "coordinates.lat", "Lintang", degrees, "*lintang rumah, derajat / latitude, degrees", "-6,98254", "latitude"
        ),
        Column(
            "coordinates.lon", "Bujur", degrees, "*bujur rumah, derajat / longitude, degrees", "110,42051", "longitude"
        ),
        Column(
            "filed_by.role",
            "Penyanggah",
            ROLE,
            "*rt, rw, lurah, kades, lsm, usaha, warga, wksbm / … lsm (NGO), business, citizen …",
            "rt",
            "peran penyanggah",
        ),
        Column("filed_by.name", "Nama Penyanggah", text, "nama penyanggah / who objects", "Budi Contoh"),
    ),
)

KINDS: Final = {kind.name: kind for kind in (PAYOUTS, BENEFICIARIES, REPORTS, VERIFICATIONS, LISTS, OBJECTIONS)}
