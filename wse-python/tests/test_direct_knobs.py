"""The settings of messages to users and sessions, as `test_knobs.py` for the others: each changes what a client is told."""

import json
import time
from typing import Any

import pytest
from wse_server import _native

from .test_knobs import PATIENCE, Peer, engine


class Returning(Peer):
    """Asks for a session."""

    def __init__(self, running: _native.Engine, **hello: Any) -> None:
        super().__init__(running, [(b"sec-websocket-protocol", b"wse.v2")])
        self.send("client_hello", {"session": "", **hello}, c="WSE")
        self.ready = self.until("server_ready")
        self.entry: dict[str, Any] = self.until("subscription_update")["topics"][0]

    @property
    def address(self) -> tuple[str, str]:
        return "session", self.entry["tp"].removeprefix("@session:")

    def away(self) -> dict[str, Any]:
        """What a client says that returns from here."""
        return {"session": self.ready["session"], "positions": {self.entry["tp"]: {"e": self.entry["e"], "seq": self.entry["seq"]}}, "away_ms": 1}


def send(running: _native.Engine, to: tuple[str, str], count: int = 1, size: int = 10) -> None:
    payload = json.dumps("x" * size).encode()
    for _ in range(count):
        running.publish_blocking((to, payload, None, "note", 5, None, None, None))


def outcome(running: _native.Engine, hello: dict[str, Any]) -> tuple[str, Any]:
    entry = Returning(running, **hello).entry
    return entry["status"], entry.get("recovered", entry.get("reason"))


@pytest.mark.parametrize("limit", [{"direct_messages": 2}, {"direct_bytes": 900}, {"direct_budget_bytes": 900}], ids=lambda limit: next(iter(limit)))
def test_what_is_kept_for_one_who_is_away_is_bounded_by(limit: dict[str, Any]) -> None:
    """[P-24] [P-66] G2 G5"""
    with engine(**limit) as running:
        few, many = Returning(running), Returning(running)
        send(running, few.address, 1, 200)
        assert outcome(running, few.away()) == ("recovered", 1)
        send(running, many.address, 5, 200)
        assert outcome(running, many.away()) == ("resync", "history")


def test_session_grace_ends_what_is_kept() -> None:
    """[P-66] G2"""
    with engine(session_grace=0.5) as running:
        peer = Returning(running)
        send(running, peer.address)
        assert outcome(running, peer.away()) == ("recovered", 1)
        time.sleep(0.7)
        assert outcome(running, peer.away()) == ("resync", "history")


def test_direct_age_ends_what_is_kept_for_a_user() -> None:
    """[P-65] G2"""
    with engine(direct_age=0.5, auth_handler=lambda _: "ada") as running:

        def returned(**hello: Any) -> dict[str, Any]:
            peer = Peer(running, [(b"sec-websocket-protocol", b"wse.v2")])
            peer.send("client_hello", {"token": "t", **hello}, c="WSE")
            while not any(event[0] == _native.AUTHENTICATE for event in peer.events):
                peer.wait(PATIENCE)
            running.welcome(peer.number, "ada")
            return peer.until("subscription_update")["topics"][0]  # type: ignore[no-any-return]

        entry = returned()
        hello = {"positions": {"@user:ada": {"e": entry["e"], "seq": 0}}, "away_ms": 1}
        send(running, ("user", "ada"))
        assert returned(**hello)["status"] == "recovered"
        time.sleep(0.7)
        assert returned(**hello)["status"] == "resync"
