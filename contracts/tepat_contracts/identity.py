"""NIK and KK numbers: valid or not, what is odd about them, and how they may be shown.

Invariants:
- validity follows the contract and nothing else: 16 digits, a province that exists, for a NIK a day and month
  that make a date in some century, a serial that is not 0000; areas split and numbers are never renumbered, so an
  unknown kabupaten, kecamatan or a differing birth date is a warning;
- no function here raises on what an agency sent, nor returns it unmasked.

Layout of a NIK: PPKKCC (area of first registration) DDMMYY (women: day + 40) NNNN; of a KK: PPKKCC, date of issue,
NNNN (Permendagri 108/2019).
"""

from calendar import monthrange
from collections.abc import Container
from datetime import date
from typing import Final

#: Provinces by their Kemendagri code (Kepmendagri 300.2.2-2138/2025), the four Papua provinces of 2022 included.
PROVINCES: Final[dict[str, str]] = {
    "11": "Aceh",
    "12": "Sumatera Utara",
    "13": "Sumatera Barat",
    "14": "Riau",
    "15": "Jambi",
    "16": "Sumatera Selatan",
    "17": "Bengkulu",
    "18": "Lampung",
    "19": "Kepulauan Bangka Belitung",
    "21": "Kepulauan Riau",
    "31": "Daerah Khusus Ibukota Jakarta",
    "32": "Jawa Barat",
    "33": "Jawa Tengah",
    "34": "Daerah Istimewa Yogyakarta",
    "35": "Jawa Timur",
    "36": "Banten",
    "51": "Bali",
    "52": "Nusa Tenggara Barat",
    "53": "Nusa Tenggara Timur",
    "61": "Kalimantan Barat",
    "62": "Kalimantan Tengah",
    "63": "Kalimantan Selatan",
    "64": "Kalimantan Timur",
    "65": "Kalimantan Utara",
    "71": "Sulawesi Utara",
    "72": "Sulawesi Tengah",
    "73": "Sulawesi Selatan",
    "74": "Sulawesi Tenggara",
    "75": "Gorontalo",
    "76": "Sulawesi Barat",
    "81": "Maluku",
    "82": "Maluku Utara",
    "91": "Papua",
    "92": "Papua Barat",
    "93": "Papua Selatan",
    "94": "Papua Tengah",
    "95": "Papua Pegunungan",
    "96": "Papua Barat Daya",
}

_PROVINCES: Final = frozenset(PROVINCES)
# DDMM of every day that any year has, for men and for women; 29 February only together with its year.
_DAYS: Final = frozenset(
    f"{day + shift:02d}{month:02d}"
    for month in range(1, 13)
    for day in range(1, monthrange(2001, month)[1] + 1)
    for shift in (0, 40)
)
# YY has no century: 00 is a leap year as 2000, and no other century adds one that is not a multiple of four.
_LEAP_DAYS: Final = frozenset(f"{day}02{year:02d}" for day in (29, 69) for year in range(0, 100, 4))


def is_nik(text: str) -> bool:
    """Whether the text is a valid NIK."""
    return (
        len(text) == 16
        and text.isascii()
        and text.isdecimal()
        and text[:2] in _PROVINCES
        and (text[6:10] in _DAYS or text[6:12] in _LEAP_DAYS)
        and text[12:] != "0000"
    )


def is_kk(text: str) -> bool:
    """Whether the text is a valid KK number; the date of issue within is not judged."""
    return len(text) == 16 and text.isdecimal() and text.isascii() and text[:2] in _PROVINCES and text[12:] != "0000"


def warnings(nik: str, birth_date: date | None, regions: Container[str]) -> list[str]:
    """What is odd about a valid NIK beside its record: `region` and `birth_date`, in that order.

    `region`: its kabupaten or kecamatan is not (any longer) on the list. `birth_date`: day, month or the year's last
    two digits differ from the record. Neither makes it invalid.
    """
    found = []
    if f"{nik[:2]}.{nik[2:4]}" not in regions or f"{nik[:2]}.{nik[2:4]}.{nik[4:6]}" not in regions:
        found.append("region")
    if birth_date is not None:
        told = f"{birth_date.day:02d}{birth_date.month:02d}{birth_date.year % 100:02d}"
        day = int(nik[6:8])
        if f"{day - 40 if day > 40 else day:02d}{nik[8:12]}" != told:
            found.append("birth_date")
    return found


def mask(number: str) -> str:
    """A NIK or KK as it may be shown: first 6 and last 4 digits, never the date within; anything else all dots."""
    if len(number) != 16:
        return "•" * 16
    return f"{number[:6]}••••••{number[12:]}"
