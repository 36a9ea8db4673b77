"""Connections of a service's database."""

import socket

import pytest
from tepat_chassis.database import SILENCE, Connection, Database

pytestmark = pytest.mark.integration


def told(connection: Connection, option: str) -> int:
    line = connection._transport.get_extra_info("socket")  # type: ignore[union-attr]
    number: int = line.getsockopt(socket.IPPROTO_TCP, getattr(socket, option))
    return number


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system's kernel has no such option")
async def test_a_server_that_is_gone_without_a_word_is_given_up(database: str) -> None:
    service = Database(database, service="registry")
    await service.open()
    own = await service.connect()
    try:
        async with service.pool.acquire() as pooled:
            for connection in (own, pooled):
                assert {option: told(connection, option) for option in SILENCE} == SILENCE
    finally:
        await own.close()
        await service.close()
