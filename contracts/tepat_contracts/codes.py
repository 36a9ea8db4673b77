"""Code lists of the field, with their names in Indonesian and English and where they come from."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    """One entry of a code list."""

    code: str
    id: str
    en: str


def _listed(*entries: tuple[str, str, str]) -> dict[str, Code]:
    return {code: Code(code, indonesian, english) for code, indonesian, english in entries}


#: Pemerlu Pelayanan Kesejahteraan Sosial: the 26 categories in the order of the annex to Permensos 8/2012 (there
#: still PMKS; the name PPKS follows Permensos 5/2019). The regulation numbers them; the codes here are ours.
PPKS: Final = _listed(
    ("anak_balita_terlantar", "Anak balita telantar", "Neglected child under five"),
    ("anak_terlantar", "Anak telantar", "Neglected child"),
    ("anak_berhadapan_hukum", "Anak yang berhadapan dengan hukum", "Child in conflict with the law"),
    ("anak_jalanan", "Anak jalanan", "Street child"),
    ("anak_disabilitas", "Anak dengan kedisabilitasan", "Child with a disability"),
    ("anak_korban_kekerasan", "Anak yang menjadi korban tindak kekerasan atau diperlakukan salah",
     "Child victim of violence or mistreatment"),
    ("anak_perlindungan_khusus", "Anak yang memerlukan perlindungan khusus", "Child in need of special protection"),
    ("lanjut_usia_terlantar", "Lanjut usia telantar", "Neglected elderly person"),
    ("penyandang_disabilitas", "Penyandang disabilitas", "Person with a disability"),
    ("tuna_susila", "Tuna susila", "Person in prostitution"),
    ("gelandangan", "Gelandangan", "Homeless person"),
    ("pengemis", "Pengemis", "Beggar"),
    ("pemulung", "Pemulung", "Scavenger"),
    ("kelompok_minoritas", "Kelompok minoritas", "Minority group"),
    ("bekas_warga_binaan", "Bekas warga binaan lembaga pemasyarakatan", "Former prisoner"),
    ("odha", "Orang dengan HIV/AIDS", "Person living with HIV/AIDS"),
    ("korban_napza", "Korban penyalahgunaan NAPZA", "Victim of substance abuse"),
    ("korban_trafficking", "Korban trafficking", "Victim of trafficking"),
    ("korban_kekerasan", "Korban tindak kekerasan", "Victim of violence"),
    ("pmbs", "Pekerja migran bermasalah sosial", "Migrant worker with social problems"),
    ("korban_bencana_alam", "Korban bencana alam", "Victim of a natural disaster"),
    ("korban_bencana_sosial", "Korban bencana sosial", "Victim of a social disaster"),
    ("perempuan_rawan", "Perempuan rawan sosial ekonomi", "Socially and economically vulnerable woman"),
    ("fakir_miskin", "Fakir miskin", "Poor person"),
    ("keluarga_bermasalah", "Keluarga bermasalah sosial psikologis", "Family with psychosocial problems"),
    ("komunitas_adat_terpencil", "Komunitas adat terpencil", "Remote indigenous community"),
)  # fmt: skip

#: Potensi dan Sumber Kesejahteraan Sosial: the 12 kinds of the annex to Permensos 8/2012, and the bodies of the
#: village that agencies name beside them (PKK, LPMK, FKK).
PSKS: Final = _listed(
    ("PSP", "Pekerja Sosial Profesional", "Professional social worker"),
    ("PSM", "Pekerja Sosial Masyarakat", "Community social worker"),
    ("TAGANA", "Taruna Siaga Bencana", "Disaster-alert youth"),
    ("LKS", "Lembaga Kesejahteraan Sosial", "Social welfare institution"),
    ("KARANG_TARUNA", "Karang Taruna", "Village youth organisation"),
    ("LK3", "Lembaga Konsultasi Kesejahteraan Keluarga", "Family welfare consultation institution"),
    ("KELUARGA_PIONIR", "Keluarga Pionir", "Pioneer family"),
    ("WKSBM", "Wahana Kesejahteraan Sosial Berbasis Masyarakat", "Community-based social welfare forum"),
    ("WKSP", "Wanita Pemimpin Kesejahteraan Sosial", "Woman leader in social welfare"),
    ("PENYULUH_SOSIAL", "Penyuluh Sosial", "Social counsellor"),
    ("TKSK", "Tenaga Kesejahteraan Sosial Kecamatan", "Sub-district social welfare worker"),
    ("DUNIA_USAHA", "Dunia Usaha", "Business community"),
    ("PKK", "Pemberdayaan Kesejahteraan Keluarga", "Family welfare movement"),
    ("LPMK", "Lembaga Pemberdayaan Masyarakat Kelurahan", "Village community empowerment institution"),
    ("FKK", "Forum Kesehatan Kelurahan", "Village health forum"),
)  # fmt: skip

#: Programmes commonly named in policies. A policy lists its own: nothing here is asked of it.
PROGRAMMES: Final = _listed(
    ("PKH", "Program Keluarga Harapan", "Family Hope Programme"),
    ("BPNT", "Bantuan Pangan Non-Tunai (Sembako)", "Non-cash food assistance"),
    ("PIP", "Program Indonesia Pintar", "Smart Indonesia education grant"),
    ("PBI-JK", "Penerima Bantuan Iuran Jaminan Kesehatan", "Health insurance premium assistance"),
    ("BLT-DD", "Bantuan Langsung Tunai Dana Desa", "Village fund cash transfer"),
    ("YAPI", "Bantuan Atensi Yatim Piatu", "Assistance for orphans"),
    ("PERMAKANAN", "Permakanan", "Cooked meals for the lone elderly and disabled"),
    ("BLT-KESRA", "Bantuan Langsung Tunai Kesejahteraan Rakyat", "People's welfare cash transfer"),
    ("BST", "Bantuan Sosial Tunai", "Cash social assistance (2020–2021)"),
    ("KJS", "Kartu Jateng Sejahtera", "Prosperous Central Java card"),
    ("JPS", "Jaring Pengaman Sosial", "Social safety net of a kabupaten or kota"),
    ("PENA", "Pahlawan Ekonomi Nusantara", "Economic empowerment of recipients"),
    ("SB", "Semarang Berbagi", "Semarang Shares, aid among neighbours"),
)  # fmt: skip
