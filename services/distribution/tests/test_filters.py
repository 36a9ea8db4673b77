"""Listings are narrowed by agencies that are known: what others narrow is empty, as if there were nothing to find."""

import pytest
from tepat_distribution import api, cases_api, findings_api, funds, groups

from .conftest import NOW, Ledger, agency, policy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

LISTINGS = ("overlaps", "clearances", "findings", "cases", "groups", "capital", "funds", "institutions/support")


async def test_an_agency_nobody_knows_is_refused_and_the_nearest_named(ledger: Ledger) -> None:
    await ledger.follow(policy(version="t-2", agencies=[agency("dinsos", "PKH")]))
    database, standing, clock = ledger.database, ledger.standing, lambda: NOW
    routers = [each.router(database, standing, clock) for each in (cases_api, groups, funds)]
    async with ledger.asked(
        api.router(database, standing, ledger.checks), findings_api.router(database, standing), *routers
    ) as client:
        for path in LISTINGS:
            for known in ("dinsos", "dpmd"):  # of this policy, and of the one before
                assert (await client.get(path, params={"agency": known})).json()["items"] == []
            answer = await client.get(path, params={"agency": "dinsoss"})
            assert (path, answer.status_code) == (path, 422)
            assert "did you mean dinsos?" in answer.text
