"""Notices from what was announced to what was heard, on a real database and a real mail server, by a fixed clock."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry
from pydantic import TypeAdapter
from tepat_chassis.duty import Duty
from tepat_contracts.events.ours import DeliveryRecorded
from tepat_notifications.domain import RETRY_AFTER
from tepat_notifications.sending import DUTY, Sender

from .conftest import POLICY, Desk, overlap, rejection

pytestmark = pytest.mark.integration

DINSOS, HIMBARA = "pkh@dinsos.invalid", "bank@himbara.invalid"
CONTACTS = {agency["id"]: agency for agency in POLICY["agencies"]}


def with_contact(agency: str, contact: dict[str, str]) -> list[dict[str, Any]]:
    return [*(each for name, each in CONTACTS.items() if name != agency), CONTACTS[agency] | {"contact": contact}]


async def test_an_exclusive_overlap_is_told_at_once_to_both_agencies(desk: Desk) -> None:
    await desk.announce(overlap(1))
    await desk.send()
    assert desk.mail.texts == []  # it waits for what comes with it
    desk.clock.forward(seconds=2)
    await desk.send()
    assert sorted(text["To"] for text in desk.mail.texts) == [HIMBARA, DINSOS]
    dinsos = desk.mail.to(DINSOS)[0].get_content()
    assert "PKH-1" in dinsos and "BPNT-1" in dinsos and "Rp 750.000" in dinsos  # noqa: PT018
    assert str(overlap(1).household) not in dinsos
    for delivery in await desk.deliveries():
        assert (delivery["state"], delivery["kind"], delivery["attempts"]) == ("sent", "overlaps", 1)
    for data in await desk.published():
        TypeAdapter(DeliveryRecorded).validate_json(orjson.dumps(data))
        assert data["state"] == "sent" and data["verdict"] == "exclusive" and data["revision"] == 1  # noqa: PT018
        assert data["causes"] == [str(overlap(1).overlap_id)]
        assert data["count"] == 1


async def test_thousands_become_one_message_an_agency(desk: Desk) -> None:
    await desk.announce(*(overlap(number) for number in range(3_000)))
    await desk.at_once()
    assert len(desk.mail.texts) == 2
    (text,) = desk.mail.to(DINSOS)
    assert "3000 pasang" in text.get_content()
    assert "2950 kasus lain" in text.get_content()
    (data, _) = await desk.published()
    assert data["count"] == 3_000
    assert len(data["causes"]) == 100
    await desk.at_once()
    await desk.digest()
    assert len(desk.mail.texts) == 2


async def test_what_comes_within_the_window_is_gathered(desk: Desk) -> None:
    for number in range(5):
        await desk.announce(overlap(number))
        desk.clock.forward(seconds=0.3)
        await desk.send()
    desk.clock.forward(seconds=1)
    await desk.send()
    assert len(desk.mail.to(DINSOS)) == 1
    assert len(desk.mail.tellings()) == 10


async def test_a_long_stream_slows_its_messages_down(desk: Desk) -> None:
    """Ten minutes of an overlap every four seconds become some dozen messages, none later than a minute."""
    for number in range(150):
        await desk.announce(overlap(number))
        desk.clock.forward(seconds=4)
        await desk.send()
    desk.clock.forward(seconds=60)
    await desk.send()
    assert 8 < len(desk.mail.to(DINSOS)) < 20
    assert len(desk.mail.to(DINSOS)) == len(desk.mail.to(HIMBARA))
    assert len(await desk.deliveries()) == len(desk.mail.texts)
    told = await desk.database.pool.fetch("select agency, count(*) from telling group by agency")
    assert dict(map(tuple, told)) == {"dinsos": 150, "himbara": 150}


async def test_an_agency_that_pays_twice_is_told_once(desk: Desk) -> None:
    await desk.announce(overlap(1, agency_b="dinsos", payout_b="PKH-9", programme_b="PKH"))
    await desk.at_once()
    assert [text["To"] for text in desk.mail.texts] == [DINSOS]


async def test_a_review_waits_for_the_digest(desk: Desk) -> None:
    await desk.announce(overlap(1, verdict="review"), overlap(2, verdict="review"))
    desk.clock.now = datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC)
    await desk.send()
    assert desk.mail.texts == []
    desk.clock.forward(seconds=1)  # 07:00 in Jakarta
    await desk.send()
    assert len(desk.mail.texts) == 2
    text = desk.mail.to(DINSOS)[0]
    assert text["Subject"] == "[Tepat] Rangkuman harian, 2 kasus / Daily summary, 2 cases"
    assert "Baru, mohon diperiksa (2)" in text.get_content()
    assert "Kepada" not in desk.mail.to(HIMBARA)[0].get_content()  # its contact asks for English
    await desk.digest()
    assert len(desk.mail.texts) == 2


async def test_the_hour_of_the_digest_is_the_policys(desk: Desk) -> None:
    await desk.announce(overlap(1, verdict="review"))
    await desk.apply(time_zone="Asia/Jayapura", routes={"digest_at": "13:30"})
    desk.clock.now = datetime(2026, 3, 2, 4, 29, 59, tzinfo=UTC)
    await desk.send()
    assert desk.mail.texts == []
    desk.clock.forward(seconds=1)
    await desk.send()
    assert len(desk.mail.texts) == 2


async def test_the_timer_survives_whoever_set_it(desk: Desk) -> None:
    await desk.announce(overlap(1, verdict="review"))
    await desk.send()
    await desk.lose_duty()
    desk.clock.forward(days=3)
    await desk.send()
    assert len(desk.mail.texts) == 2


async def test_two_instances_send_once(desk: Desk) -> None:
    """The duty is one's: the other waits for its lock, and finds everything sent."""
    duties, running = [], []
    for _ in range(2):
        duty = Duty(desk.database, DUTY)
        sender = Sender(desk.store, desk.channels, desk.standing, clock=desk.clock, registry=CollectorRegistry())
        sender.wake = duty.wake
        duties.append(duty)
        running.append(asyncio.ensure_future(duty.perform(sender.work)))
    await desk.announce(*(overlap(number) for number in range(20)))
    desk.clock.forward(seconds=2)
    async with desk.database.transaction() as connection:
        await connection.execute(f"notify {DUTY}")
    await desk.mail.wait(2)
    for duty in duties:
        await duty.stop()
    await asyncio.gather(*running)
    assert len(desk.mail.texts) == 2


# -- cleared, changed, again -------------------------------------------------------------------------------------


async def test_what_is_cleared_before_it_is_sent_is_not_told(desk: Desk) -> None:
    await desk.announce(overlap(1), overlap(2), overlap(3, verdict="review"))
    await desk.announce(overlap(1, 2, live=False), overlap(3, 2, live=False))
    await desk.at_once()
    assert "1 pasang" in desk.mail.to(DINSOS)[0].get_content()
    assert {code for _, code in desk.mail.tellings()} == {overlap(2).code}
    await desk.digest()
    assert len(desk.mail.texts) == 2
    states = {(row["kind"], row["state"]) for row in await desk.deliveries()}
    assert states == {("overlaps", "sent"), ("digest", "skipped")}


async def test_what_is_cleared_after_it_was_told_is_told_in_the_digest(desk: Desk) -> None:
    await desk.announce(overlap(1))
    await desk.at_once()
    await desk.announce(overlap(1, 2, live=False))
    await desk.at_once()
    assert len(desk.mail.texts) == 2
    await desk.digest()
    assert len(desk.mail.texts) == 4
    assert "Selesai (1)" in desk.mail.to(DINSOS)[1].get_content()
    assert "dibatalkan atau dikembalikan" in desk.mail.to(DINSOS)[1].get_content()


async def test_new_amounts_are_told_in_the_digest(desk: Desk) -> None:
    await desk.announce(overlap(1))
    await desk.at_once()
    await desk.announce(overlap(1, 2, amount_a=900_000))
    await desk.announce(overlap(1, 3, amount_a=950_000))
    await desk.at_once()
    assert len(desk.mail.texts) == 2
    await desk.digest()
    body = desk.mail.to(DINSOS)[1].get_content()
    assert "Berubah (1)" in body
    assert "Rp 950.000" in body
    assert "Rp 900.000" not in body


async def test_what_changes_and_changes_back_is_not_told(desk: Desk) -> None:
    await desk.announce(overlap(1))
    await desk.at_once()
    await desk.announce(overlap(1, 2, live=False))
    await desk.announce(overlap(1, 3))
    await desk.digest()
    assert len(desk.mail.texts) == 2


async def test_what_was_told_as_over_and_is_not_is_told_again(desk: Desk) -> None:
    await desk.announce(overlap(1))
    await desk.at_once()
    await desk.announce(overlap(1, 2, live=False))
    await desk.digest()
    await desk.announce(overlap(1, 3))
    await desk.digest()
    assert "Muncul lagi (1)" in desk.mail.to(DINSOS)[2].get_content()
    assert len(desk.mail.texts) == 6


async def test_a_review_that_becomes_exclusive_is_told_at_once(desk: Desk) -> None:
    await desk.announce(overlap(1, verdict="review"))
    await desk.digest()
    await desk.announce(overlap(1, 2))
    await desk.at_once()
    assert len(desk.mail.texts) == 4
    assert "1 pasang" in desk.mail.to(DINSOS)[1].get_content()
    await desk.announce(overlap(1, 3, verdict="review"))
    await desk.digest()
    await desk.announce(overlap(1, 4))
    await desk.at_once()
    await desk.digest()
    # One notice a verdict: the second time the overlap turns exclusive it stands in a digest.
    assert [(row["agency"], row["kind"]) for row in await desk.deliveries(agency="dinsos")] == [
        ("dinsos", "digest"), ("dinsos", "overlaps"), ("dinsos", "digest"), ("dinsos", "digest"),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
async def test_in_whatever_order_and_however_often_nothing_is_told_twice(desk: Desk, seed: int) -> None:
    """Announcements repeated and reordered, sends and refusals at any moment: told once, and in the end rightly."""
    chance = random.Random(seed)
    histories = [
        [
            overlap(number, revision, live=chance.random() < 0.7, verdict=chance.choice(("exclusive", "review")))
            for revision in range(1, chance.randint(2, 5))
        ]
        for number in range(8)
    ]
    histories = [[each if each.live else overlap(n, each.revision, live=False) for each in history]
                 for n, history in enumerate(histories)]  # fmt: skip
    stream = [each for history in histories for each in history for _ in range(chance.randint(1, 3))]
    chance.shuffle(stream)
    desk.mail.at_recipient = lambda address: "451 4.3.0 later" if chance.random() < 0.2 else None
    while stream:
        taken = [stream.pop() for _ in range(min(len(stream), chance.randint(1, 6)))]
        batch = {each.overlap_id: each for each in sorted(taken, key=lambda each: each.revision)}
        await desk.announce(*batch.values())
        match chance.randint(0, 3):
            case 0:
                await desk.at_once()
            case 1:
                await desk.digest()
            case 2 if desk.held:
                await desk.lose_duty()
    desk.mail.at_recipient = lambda address: None
    for _ in range(3):
        await desk.digest()
        await desk.at_once()
    twice = """select overlap_id, agency, what, count(*) from telling where heard and what in ('exclusive', 'review')
               group by 1, 2, 3 having count(*) > 1"""
    assert await desk.database.pool.fetch(twice) == []
    assert len(desk.mail.texts) == len([row for row in await desk.deliveries() if row["state"] == "sent"])
    assert await desk.database.pool.fetchval("select count(*) from attention") == 0
    for history in histories:
        last = history[-1]
        for agency in ("dinsos", "himbara"):
            heard = await desk.database.pool.fetchrow(
                """select * from telling where heard and overlap_id = $1 and agency = $2
                   order by revision desc limit 1""",
                last.overlap_id, agency,
            )  # fmt: skip
            if last.live:
                assert heard is not None
                assert (heard["live"], heard["verdict"]) == (True, last.verdict)
            else:
                assert heard is None or not heard["live"]


# -- rejected records --------------------------------------------------------------------------------------------


async def test_rejected_records_are_told_in_a_digest_of_their_own(desk: Desk) -> None:
    await desk.reject(*(rejection(offset) for offset in range(7)), rejection(7, reason="region_unknown"))
    await desk.reject(*(rejection(offset) for offset in range(7)))  # told again after a crash
    await desk.reject(resolved=[("agency.dinsos.payouts.v1", 0, 3)])
    await desk.at_once()
    assert desk.mail.texts == []
    await desk.digest()
    (text,) = desk.mail.texts
    assert text["Subject"].startswith("[Tepat] 7 data ditolak")
    assert "- 6 data pembayaran, isian /data/recipient/nik\n  NIK tidak sah." in text.get_content().replace("\r", "")
    (data,) = await desk.published()
    assert (data["kind"], data["causes"], data["count"]) == ("rejections", [], 7)
    assert "verdict" not in data
    await desk.digest()
    await desk.reject(rejection(20))
    await desk.digest()
    assert [each["Subject"].split("/")[0] for each in desk.mail.texts[1:]] == [
        "[Tepat] 1 data ditolak, mohon diperbaiki "
    ]


async def test_rejections_all_taken_since_are_not_told(desk: Desk) -> None:
    await desk.reject(rejection(1))
    await desk.reject(resolved=[("agency.dinsos.payouts.v1", 0, 1)])
    await desk.digest()
    assert desk.mail.texts == []
    assert [row["state"] for row in await desk.deliveries()] == ["skipped"]


# -- refused, in doubt, without an address -----------------------------------------------------------------------


async def test_a_refusal_is_tried_again_five_times_and_then_given_up(desk: Desk) -> None:
    desk.mail.at_recipient = lambda address: "550 no such mailbox" if address == DINSOS else None
    await desk.announce(overlap(1))
    await desk.at_once()
    for wait in RETRY_AFTER:
        (row,) = await desk.deliveries(agency="dinsos")
        assert row["state"] == "failed"
        assert row["due_at"] == desk.clock() + wait
        desk.clock.now += wait - timedelta(seconds=1)
        await desk.send()
        assert (await desk.deliveries(agency="dinsos"))[0]["attempts"] == row["attempts"]
        desk.clock.forward(seconds=1)
        await desk.send()
    (row,) = await desk.deliveries(agency="dinsos")
    assert (row["state"], row["due_at"], row["attempts"]) == ("failed", None, 6)
    assert "550 no such mailbox" in row["reason"]
    await desk.digest()
    assert desk.mail.tries == 7  # one of them for the other agency
    assert [text["To"] for text in desk.mail.texts] == [HIMBARA]
    told = [each for each in await desk.published() if each["agency"] == "dinsos"]
    assert [each["revision"] for each in told] == [1, 2, 3, 4, 5, 6]
    assert all(each["causes"] == [str(overlap(1).overlap_id)] for each in told)

    # The mailbox is there again: what it could not be told comes along with the next digest.
    desk.mail.at_recipient = lambda address: None
    await desk.announce(overlap(2, verdict="review"))
    await desk.digest()
    body = desk.mail.to(DINSOS)[0].get_content()
    assert "Mohon ditahan (1)" in body
    assert "Baru, mohon diperiksa (1)" in body


async def test_a_retry_tells_what_holds_then(desk: Desk) -> None:
    desk.mail.at_recipient = lambda address: "451 later"
    await desk.announce(overlap(1), overlap(2))
    await desk.at_once()
    desk.mail.at_recipient = lambda address: None
    await desk.announce(overlap(1, 2, live=False), overlap(3))
    await desk.at_once()
    assert len(desk.mail.texts) == 2
    assert {code for _, code in desk.mail.tellings()} == {overlap(2).code, overlap(3).code}
    await desk.digest()
    assert len(desk.mail.texts) == 2  # nobody heard of the first, so nobody hears of its end


async def test_a_retry_of_which_nothing_is_left_ends(desk: Desk) -> None:
    desk.mail.at_recipient = lambda address: "451 later"
    await desk.announce(overlap(1))
    await desk.at_once()
    desk.mail.at_recipient = lambda address: None
    await desk.announce(overlap(1, 2, live=False))
    await desk.at_once()
    assert desk.mail.texts == []
    assert {row["state"] for row in await desk.deliveries()} == {"skipped"}


async def test_doubt_is_recorded_and_not_sent_again(desk: Desk) -> None:
    desk.mail.at_text = lambda server: server.transport.abort()
    await desk.announce(overlap(1))
    await desk.at_once()
    desk.mail.at_text = lambda server: None
    for _ in range(3):
        await desk.digest()
    assert {row["state"] for row in await desk.deliveries()} == {"doubtful"}
    assert {each["state"] for each in await desk.published()} == {"doubtful"}
    assert desk.mail.texts == []


async def test_what_a_dead_instance_left_in_sending_is_in_doubt(desk: Desk) -> None:
    await desk.announce(overlap(1), overlap(2, verdict="review"))
    await desk.database.pool.execute(
        "update delivery set state = 'sending', due_at = null, attempts = 1 where kind = 'overlaps'"
    )
    await desk.send()
    assert desk.mail.texts == []
    assert {row["state"] for row in await desk.deliveries(kind="overlaps")} == {"doubtful"} | {"queued"}


async def test_an_agency_without_an_address_is_skipped_and_told_later(desk: Desk) -> None:
    await desk.apply(agencies=with_contact("himbara", {}))
    await desk.announce(overlap(1), overlap(2, agency_b="stranger", payout_b="X-1"))
    await desk.at_once()
    assert {text["To"] for text in desk.mail.texts} == {DINSOS}
    reasons = {row["agency"]: row["reason"] for row in await desk.deliveries(state="skipped")}
    assert reasons == {
        "himbara": "the agency's contact has no email",
        "stranger": "the policy does not know this agency",
    }
    skipped = [each for each in await desk.published() if each["state"] == "skipped"]
    assert sorted(each["agency"] for each in skipped) == ["himbara", "stranger"]
    await desk.apply()
    await desk.announce(overlap(3, verdict="review"))
    await desk.digest()
    assert "Please hold (1)" in desk.mail.to(HIMBARA)[0].get_content()


async def test_what_comes_while_a_notice_is_being_sent_is_not_forgotten(desk: Desk) -> None:
    loop = asyncio.get_running_loop()
    late = [overlap(2)]

    def meanwhile(address: str) -> None:
        if late:
            asyncio.run_coroutine_threadsafe(desk.announce(late.pop()), loop).result(10)

    desk.mail.at_recipient = meanwhile
    await desk.announce(overlap(1))
    await desk.at_once()
    await desk.at_once()
    assert len(desk.mail.texts) == 4
    assert sorted(desk.mail.tellings()) == sorted(
        (address, overlap(number).code) for address in (DINSOS, HIMBARA) for number in (1, 2)
    )


async def test_a_batch_takes_a_handful_of_statements_however_large(desk: Desk) -> None:
    """No await a record: the number of round trips does not grow with the batch."""

    async def statements(number: int, first: int) -> int:
        count = 0

        def tell(query: Any) -> None:
            nonlocal count
            count += 1

        async with desk.database.transaction() as connection:
            with connection.query_logger(tell):  # type: ignore[union-attr]
                batch = [overlap(first + n, verdict="review") for n in range(number)]
                now = desk.clock()
                await desk.store.take_overlaps(connection, batch, now, desk.province.next_digest(now))
        return count

    assert await statements(1, 0) == await statements(5_000, 1_000) < 12
