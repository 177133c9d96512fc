"""Authentication: the token arrives, the handler decides, and nothing is answered before."""

import asyncio
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from wse_server import AuthResult, WSEUsageError
from wse_server._auth import _user_id

from .support import servers
from .support.client import Client
from .support.servers import Server


async def refusal(client: Client) -> tuple[str, int | None]:
    """The error's code, and the close code after it."""
    error = await client.kind("error")
    return error["p"]["code"], await client.closed()


async def test_the_clients_token_arrives_and_sets_the_user(guarded: Server) -> None:
    async with Client(guarded.ws(), token="token-ann") as client:
        assert client.ready["user"] == "ann"
        who = (await client.request("who", None))["p"]
    assert (who["user"], who["token"]) == ("ann", "token-ann")


async def test_a_bearer_header_is_a_token_too(guarded: Server) -> None:
    async with Client(guarded.ws(), additional_headers={"Authorization": "Bearer token-bob"}) as client:
        assert client.ready["user"] == "bob"


async def test_an_auth_result_sets_id_user_and_claims(guarded: Server) -> None:
    async with Client(guarded.ws(), token="claims") as client:
        assert client.ready["user"] == "cleo"
        who = (await client.request("who", None))["p"]
    assert (who["user"], who["claims"]) == ({"name": "Cleo"}, {"role": "admin"})


@pytest.mark.parametrize("token", ["wrong", None])
async def test_a_refused_credential_is_4401(guarded: Server, token: str | None) -> None:
    async with Client(guarded.ws(), token=token, topics=["a"], ready=False) as client:
        assert await refusal(client) == ("AUTH_FAILED", 4401)


@pytest.mark.parametrize("token", ["slow", "broken"])
async def test_a_handler_that_raises_or_hangs_is_unavailable_and_the_client_may_return(guarded: Server, token: str) -> None:
    async with Client(guarded.ws(), token=token, ready=False) as client:
        assert await refusal(client) == ("AUTH_UNAVAILABLE", 1013)
    await asyncio.to_thread(guarded.wait_log, "the user database is away" if token == "broken" else "auth_timeout")


async def test_no_hook_runs_for_a_connection_that_was_refused(guarded: Server) -> None:
    before = len(await asyncio.to_thread(guarded.get, "/events"))
    async with Client(guarded.ws(), token="wrong", ready=False) as client:
        await client.closed()
    await asyncio.sleep(0.2)
    assert len(await asyncio.to_thread(guarded.get, "/events")) == before


async def test_health_says_who_is_asked(guarded: Server, both: Server) -> None:
    assert guarded.health()["auth"] == "handler"
    assert both.health()["auth"] == "none"
    assert both.log.count("every connection is anonymous") == 1
    assert "anonymous" not in guarded.log


async def test_a_foreign_origin_is_refused_inside_the_websocket_so_that_a_page_can_see_it(guarded: Server) -> None:
    async with Client(guarded.ws(), token="token-ann", origin="https://evil.example", ready=False) as client:
        assert await refusal(client) == ("ORIGIN_NOT_ALLOWED", 4403)


async def test_an_allowed_origin_connects() -> None:
    with servers.running(servers.uvicorn(auth=True, allowed_origins=["https://app.example.com"])) as server:
        async with Client(server.ws(), token="token-ann", origin="https://app.example.com") as client:
            assert client.ready["user"] == "ann"


@pytest.mark.parametrize("setting", ["token_query_parameter", "token_cookie"])
async def test_tokens_from_the_query_and_cookies_are_taken_only_when_asked_for(setting: str) -> None:
    cookie = {"Cookie": "tk=token-ann"} if setting == "token_cookie" else {}
    with servers.running(servers.uvicorn(auth=True, **{setting: "tk"})) as server:
        async with Client(server.ws("/wse?tk=token-ann" if not cookie else "/wse"), additional_headers=cookie) as client:
            assert client.ready["user"] == "ann"


async def test_by_default_a_token_in_the_query_is_not_looked_at(guarded: Server) -> None:
    try:
        async with Client(guarded.ws("/wse?token=token-ann"), ready=False) as client:
            assert await refusal(client) == ("AUTH_FAILED", 4401)
    except InvalidStatus as refused:
        assert refused.response.status_code == 401


class User:
    id = 7


@pytest.mark.parametrize(("user", "id"), [("ann", "ann"), (5, "5"), (User(), "7"), ({"id": "x"}, "x"), ({"sub": "y"}, "y")])
def test_a_users_id_is_found(user: Any, id: str) -> None:
    assert _user_id(user) == id


@pytest.mark.parametrize("user", [True, "", {}, object(), 1.5, {"id": None}])
def test_a_user_without_an_id_is_a_mistake_that_names_the_fix(user: Any) -> None:
    with pytest.raises(WSEUsageError, match="AuthResult"):
        _user_id(user)
    assert AuthResult(user, id="given").id == "given"
