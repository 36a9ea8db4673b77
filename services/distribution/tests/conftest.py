"""A distribution service in this process, on a real broker and a real database."""

POLICY = {
    "version": "t-1",
    "agencies": [
        {"id": "dinsos", "name": "Dinsos", "trust_rank": 2, "programmes": ["PKH", "SB"], "rights": ["merge"]},
        {"id": "himbara", "name": "Himbara", "trust_rank": 3, "programmes": ["BPNT"]},
        {"id": "dpmd", "name": "DPMD", "programmes": ["BLT-DD"]},
    ],
    "programmes": [
        {"code": code, "name": {"id": code, "en": code}, "unit": "household", "repeatable": code == "SB"}
        for code in ("PKH", "BPNT", "BLT-DD", "SB")
    ],
    "overlap_rules": [
        {"id": "pkh-bpnt", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "review"},
        {"id": "pkh-blt", "programmes": ["BLT-DD", "PKH"], "scope": "household", "verdict": "exclusive"},
        {"id": "sb-any", "programmes": ["SB", "PKH"], "scope": "household", "verdict": "complementary"},
    ],
}
