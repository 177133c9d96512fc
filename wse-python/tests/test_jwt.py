"""JSON Web Tokens: checked in the engine, whatever brought them; who passes is known to hooks and handlers."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from wse_server import WSEConfig, WSEConfigError

from .support import servers
from .support.client import Client
from .support.servers import Server

SECRET = secrets.token_urlsafe(48)


@pytest.fixture(scope="module", params=["auto", "never"], ids=["native", "asgi"])
def checked(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Only `jwt_key` decides."""
    with running(takeover=request.param, jwt_key=SECRET, token_cookie="session") as server:
        yield server


@pytest.fixture(scope="module", params=["auto", "never"], ids=["native", "asgi"])
def asked(request: pytest.FixtureRequest) -> Iterator[Server]:
    """`jwt_key` first, then `auth_handler`."""
    with running(takeover=request.param, jwt_key=SECRET, auth=True) as server:
        yield server


def running(**settings: Any) -> Any:
    return servers.running(servers.uvicorn(app="tests.apps.tokens:app", **settings))


def token(key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **claims: Any) -> str:
    """A good one, but for `claims`; None leaves one out."""
    given = {"sub": "ann", "exp": time.time() + 60, "iat": time.time(), "role": "admin"} | claims
    headers = {"kid": kid} if kid else None
    return jwt.encode({name: value for name, value in given.items() if value is not None}, key, algorithm, headers=headers)


def public(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def unsigned() -> str:
    parts = [{"alg": "none"}, {"sub": "eve", "exp": time.time() + 60}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def carried(by: str, text: str) -> dict[str, Any]:
    match by:
        case "hello":
            return {"token": text}
        case "header":
            return {"additional_headers": {"Authorization": f"Bearer {text}"}}
        case _:
            return {"additional_headers": {"Cookie": f"session={text}"}}


async def refusal(server: Server, **options: Any) -> str:
    """What a client is told that is refused for its token."""
    async with Client(server.ws(), topics=["a"], ready=False, **options) as client:
        error = (await client.kind("error"))["p"]
        assert (error["code"], await client.closed()) == ("AUTH_FAILED", 4401)
    return str(error["message"])


async def seen(server: Server, what: str) -> list[Any]:
    return list((await asyncio.to_thread(server.get, "/seen"))[what])


@pytest.mark.parametrize("by", ["hello", "header", "cookie"])
async def test_a_valid_token_names_the_user_and_its_claims_reach_handlers(checked: Server, by: str) -> None:
    text = token(sub=f"ann-{by}", nested={"a": [1.5, None, True]})
    async with Client(checked.ws(), **carried(by, text)) as client:
        assert client.ready["user"] == f"ann-{by}"
        who = (await client.request("who", None))["p"]
    assert who["user"] == f"ann-{by}"
    assert who["claims"] == jwt.decode(text, SECRET, ["HS256"])
    assert who["token"] is None, "nothing in Python needs it"


async def test_hooks_know_the_user_before_the_first_message(checked: Server) -> None:
    async with Client(checked.ws(), token=token(sub="hook", big=2**60 + 1)):
        pass
    await asyncio.sleep(0.1)
    user, claims = (await seen(checked, "connected"))[-1]
    assert (user, claims["big"]) == ("hook", 2**60 + 1)


@pytest.mark.parametrize("by", ["hello", "header", "cookie"])
async def test_an_expired_token_is_refused_for_good(checked: Server, by: str) -> None:
    assert "expired" in await refusal(checked, **carried(by, token(exp=time.time() - 60)))


async def test_without_a_token_nobody_connects(checked: Server) -> None:
    assert "token is required" in await refusal(checked)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (lambda: token("another secret of thirty-two bytes"), "signature"),
        (unsigned, "alg"),
        (lambda: "gibberish", "not a signed"),
        (lambda: token(exp=None), "no claim exp"),
        (lambda: token(sub=None), "no claim sub"),
        (lambda: token(nbf=time.time() + 60), "not valid yet"),
        (lambda: token(iat=time.time() + 60), "in the future"),
        (lambda: token(aud="another"), "audience"),
        (lambda: token(pad="x" * 9000), "8192"),
    ],
)
async def test_a_token_that_proves_nothing_is_refused_and_told_why(checked: Server, bad: Any, says: str) -> None:
    before = await seen(checked, "connected")
    assert says in await refusal(checked, token=bad())
    assert await seen(checked, "connected") == before


async def test_the_frames_token_counts_rather_than_the_requests(checked: Server) -> None:
    expired = token(exp=time.time() - 60)
    async with Client(checked.ws(), token=token(), **carried("header", expired)) as client:
        assert client.ready["user"] == "ann"
    assert "expired" in await refusal(checked, token=expired, **carried("header", token()))


async def test_the_handler_is_asked_after_the_token_and_has_its_claims(asked: Server) -> None:
    async with Client(asked.ws(), token=token(sub="t1")) as client:
        assert client.ready["user"] == "ann-of-the-handler"
        who = (await client.request("who", None))["p"]
    assert (who["user"], who["claims"]["role"]) == ({"name": "Ann"}, "admin")
    user, claims, has_token = (await seen(asked, "asked"))[-1]
    assert (user, claims["sub"], has_token) == ("t1", "t1", True)


async def test_the_handler_may_keep_the_tokens_user_replace_the_claims_or_refuse(asked: Server) -> None:
    async with Client(asked.ws(), token=token(sub="guest-7", role="guest")) as client:
        assert client.ready["user"] == "guest-7"
    async with Client(asked.ws(), token=token(role="other")) as client:
        assert (await client.request("who", None))["p"]["claims"] == {"role": "of the handler"}
    assert "refused" in await refusal(asked, token=token(role="banned"))


async def test_the_handler_is_never_asked_about_a_token_that_is_not_valid(asked: Server) -> None:
    before = await seen(asked, "asked")
    await refusal(asked, token=token(exp=time.time() - 60))
    await refusal(asked)
    assert await seen(asked, "asked") == before


async def test_health_says_who_decides_and_the_log_holds_no_secret(checked: Server, asked: Server) -> None:
    text = token(exp=time.time() - 60)
    await refusal(checked, token=text)
    assert (checked.health()["auth"], asked.health()["auth"]) == ("jwt", "jwt+handler")
    for server in (checked, asked):
        assert "anonymous" not in server.log
        assert SECRET not in server.log
        assert text not in server.log


async def test_public_keys_go_by_their_ids_and_serve_their_own_kind_only() -> None:
    private = {"r": rsa.generate_private_key(65537, 2048), "e": ec.generate_private_key(ec.SECP256R1()), "d": ed25519.Ed25519PrivateKey.generate()}
    algorithms = {"r": "RS256", "e": "ES256", "d": "EdDSA"}
    keys = {kid: public(key) for kid, key in private.items()} | {"s": SECRET}
    with running(jwt_key=keys, jwt_algorithms=[*algorithms.values(), "HS256"]) as server:
        for kid, algorithm in algorithms.items():
            async with Client(server.ws(), token=token(private[kid], algorithm, kid, sub=kid)) as client:
                assert client.ready["user"] == kid
        assert "kid" in await refusal(server, token=token(private["r"], "RS256", "lost"))
        assert "kid" in await refusal(server, token=token(private["r"], "RS256"))
        assert "alg" in await refusal(server, token=token(SECRET, "HS256", "r"))
        assert "signature" in await refusal(server, token=token(rsa.generate_private_key(65537, 2048), "RS256", "r"))


async def test_issuer_audience_leeway_and_user_claim_are_those_set() -> None:
    settings = {"jwt_issuer": "https://login.example", "jwt_audience": "wse", "jwt_leeway": 120, "jwt_user_claim": "uid"}
    good = {"iss": "https://login.example", "aud": ["wse"], "uid": 7, "exp": time.time() - 60}
    with running(jwt_key=SECRET, **settings) as server:
        async with Client(server.ws(), token=token(**good)) as client:
            assert client.ready["user"] == "7"
        for change, says in [
            ({"iss": "https://evil.example"}, "iss"),
            ({"aud": "api"}, "aud"),
            ({"exp": time.time() - 200}, "expired"),
            ({"uid": None}, "uid"),
        ]:
            assert says in await refusal(server, token=token(**good | change))


@pytest.mark.parametrize(
    ("settings", "field", "fix"),
    [
        ({"jwt_key": "short"}, "jwt_key", "openssl rand"),
        ({"jwt_key": ""}, "jwt_key", "HS256 needs 32"),
        ({"jwt_key": 7}, "jwt_key", "PEM"),
        ({"jwt_key": {}}, "jwt_key", "at least one"),
        ({"jwt_key": {"a": None}}, "jwt_key", "PEM"),
        ({"jwt_key": SECRET, "jwt_algorithms": ["RS256"]}, "jwt_key", "no allowed algorithm"),
        ({"jwt_key": SECRET, "jwt_algorithms": ["HS256", "RS256"]}, "jwt_algorithms", "RS256 is allowed, but no key"),
        ({"jwt_key": SECRET, "jwt_algorithms": "HS256"}, "jwt_algorithms", "['HS256']"),
        ({"jwt_key": SECRET, "jwt_algorithms": ["none"]}, "jwt_algorithms", "HS256"),
        ({"jwt_key": SECRET, "jwt_algorithms": []}, "jwt_algorithms", "at least one"),
        ({"jwt_key": SECRET, "jwt_issuer": ""}, "jwt_issuer", "empty"),
        ({"jwt_key": SECRET, "jwt_audience": 7}, "jwt_audience", "text"),
        ({"jwt_key": SECRET, "jwt_user_claim": ""}, "jwt_user_claim", "empty"),
        ({"jwt_key": SECRET, "jwt_leeway": -1}, "jwt_leeway", "seconds"),
        ({"jwt_issuer": "https://login.example"}, "jwt_key", "anyone could connect"),
    ],
)
def test_a_setting_that_cannot_work_names_its_field_and_the_fix(settings: dict[str, Any], field: str, fix: str) -> None:
    with pytest.raises(WSEConfigError) as raised:
        WSEConfig(**settings)
    assert raised.value.field == field
    assert fix in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_public_key_is_no_secret_and_a_private_one_no_public_one() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(WSEConfigError, match="no allowed algorithm"):
        WSEConfig(jwt_key=public(key))
    with pytest.raises(WSEConfigError, match="private key"):
        WSEConfig(jwt_key=private, jwt_algorithms=["EdDSA"])
    assert WSEConfig(jwt_key=MappingProxyType({"a": public(key).encode()}), jwt_algorithms=["EdDSA"], jwt_leeway=0)


def test_a_configuration_is_shown_without_its_key() -> None:
    assert SECRET not in repr(WSEConfig(jwt_key=SECRET))
