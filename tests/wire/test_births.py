"""Topics that are born under a pattern while Redis is out of reach of the server that its followers are connected to."""

import asyncio
from typing import Any

import pytest
from conftest import PATIENCE, Client, Server
from test_holes import Switch, behind


async def born(client: Client, pattern: str) -> list[dict[str, Any]]:
    """What is told of a pattern unasked."""
    [entry] = (await client.until("subscription_update"))["p"]["topics"]
    assert (entry["tp"], entry["status"]) == (pattern, "live")
    return entry["topics"]


@pytest.mark.parametrize("kind", ["native", "asgi", "rust"])
@pytest.mark.parametrize("is_away", [False, True], ids=["as-it-is-joined", "before-it-is-born-and-again-as-it-is-joined"])
async def test_a_topic_that_is_born_while_redis_is_out_of_reach_comes_from_its_first_message(
    well: tuple[Server, int], kind: str, is_away: bool, request: pytest.FixtureRequest
) -> None:
    """[P-39] G1 G2: the way breaks as the server asks for the new topic, of which it hears by the announcement, or once the way is back.

    Fails where `join_births` tells such a birth as lost, and where it does not `put_back` what it could not join."""
    publisher, port = well
    namespace = f"births-{request.node.callspec.id}"
    first, second, pattern = f"{namespace}:first", f"{namespace}:second", f"{namespace}:*"
    way = Switch(port, first)
    async with behind(way, kind) as server, server.agreed() as client, publisher.agreed() as source:
        [entry] = await client.subscribe(pattern)
        assert (entry["status"], "topics" in entry) == ("live", False)
        way.breaking = True
        if is_away:
            way.close()
        last = await source.publish(first, count=5)
        if is_away:
            await way.open()
        async with asyncio.timeout(2 * PATIENCE):
            await way.broken.wait()
        assert await source.publish(first, count=5) == last + 5
        await source.publish(second, count=3)
        await way.open()
        for topic, count in ((first, 10), (second, 3)):
            [member] = await born(client, pattern)
            assert (member["tp"], member["status"]) == (topic, "recovered")
            assert [(m["tp"], m["seq"]) for m in await client.topic(topic, count)] == [(topic, seq) for seq in range(1, count + 1)]
        await source.publish(first)
        after = await client.receive()
        assert (after["tp"], after["seq"]) == (first, 11), "nothing of it comes twice"
        assert (await asyncio.to_thread(server.health))["births_lost"] == 0
