"""The code lists, by what is known of them."""

from tepat_contracts.codes import PPKS, PROGRAMMES, PSKS, Code


def test_there_are_26_categories_of_need() -> None:
    assert len(PPKS) == 26
    assert PPKS["fakir_miskin"] == Code("fakir_miskin", "Fakir miskin", "Poor person")


def test_every_code_has_both_names() -> None:
    for codes in (PPKS, PSKS, PROGRAMMES):
        assert all(code == entry.code and entry.id and entry.en for code, entry in codes.items())


def test_the_sources_of_help_and_programmes_of_the_field_are_listed() -> None:
    assert {"PSM", "KARANG_TARUNA", "LKS", "TKSK", "LK3", "WKSBM", "PKK", "LPMK", "FKK"} <= set(PSKS)
    assert {"PKH", "BPNT", "PIP", "PBI-JK", "BLT-DD", "YAPI", "KJS"} <= set(PROGRAMMES)
