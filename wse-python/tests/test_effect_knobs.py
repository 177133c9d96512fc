"""The settings of outcomes and dead letters, as `test_knobs.py` for those of connections and logs: each changes what a client is told."""

import json
import time
from typing import Any

import pytest
from wse_server import WSEDeadLetterError

from .test_knobs import PATIENCE, Peer, engine


class Sender(Peer):
    """Sends numbered messages, and is the application that handles them too."""

    def ask(self, number: int, reply: bytes = b"1", producer: str = "p", fail: bool = False, **keys: Any) -> Any:
        """The answer's payload of a message that is handled where the engine says so."""
        cid = f"{producer}{number}"
        self.send("order", {"n": number}, cid=cid, pid=producer, n=number, **keys)
        while (answer := self.answer(reply, fail)).get("cid") != cid:
            pass
        return answer["p"]

    def answer(self, reply: bytes, fail: bool) -> Any:
        end = time.monotonic() + PATIENCE
        while not (frames := self.engine.take(self.number, 1)):
            assert time.monotonic() < end, "nothing came"
            self.wait(0.02)
            self.handle(reply, fail)
        return json.loads(frames[0])

    def handle(self, reply: bytes, fail: bool) -> None:
        for *_, cid in self.handed_over:
            if fail:
                self.engine.fail(self.number, cid, "HANDLER_FAILED", "it failed")
            else:
                self.engine.reply(self.number, cid, reply, None)
            self.engine.handled(self.number, 1)
        self.handed_over.clear()


def test_outcome_age_is_told_and_ends_what_is_remembered() -> None:
    """[P-52] [P-53]"""
    with engine(outcome_age=0.5) as running:
        peer = Sender(running)
        ready = peer.until("server_ready")
        assert ready["outcomes_ms"] == 500
        assert [peer.ask(1), peer.ask(1, b"2")] == [1, 1]
        time.sleep(0.7)
        assert peer.ask(1, b"2") == 2


@pytest.mark.parametrize("limit", [{"outcome_messages": 2}, {"outcome_bytes": 600}], ids=lambda limit: next(iter(limit)))
def test_what_is_remembered_of_an_outbox_is_bounded_by(limit: dict[str, Any]) -> None:
    """[P-53] [P-54] G5"""
    reply = json.dumps("x" * 200).encode()
    with engine(**limit) as running:
        peer = Sender(running)
        for number in (1, 2, 3):
            peer.ask(number, reply)
        assert peer.ask(1)["code"] == "OUTCOME_UNKNOWN"
        assert peer.ask(3) == "x" * 200
        assert running.health()["outcomes_forgotten"] >= 1


@pytest.mark.parametrize("limit", [{"outcome_producers": 2}, {"outcome_budget_bytes": 600}], ids=lambda limit: next(iter(limit)))
def test_what_is_remembered_of_all_outboxes_is_bounded_by(limit: dict[str, Any]) -> None:
    """[P-53] [P-54] G5"""
    reply = json.dumps("x" * 200).encode()
    with engine(**limit) as running:
        peer = Sender(running)
        epoch = peer.until("server_ready")["producers"]
        for producer in ("a", "b", "c"):
            peer.ask(1, reply, producer)
        assert peer.ask(1, producer="a", pe=epoch)["code"] == "OUTCOME_UNKNOWN"
        assert peer.ask(1, producer="c", pe=epoch) == "x" * 200


def test_outcome_reply_bytes_is_the_largest_reply_that_is_remembered() -> None:
    """[P-53]"""
    with engine(outcome_reply_bytes=10) as running:
        peer = Sender(running)
        assert peer.ask(1, b'"a longer one"') == "a longer one"
        assert peer.ask(1)["code"] == "REPLY_NOT_KEPT"


def test_outcome_lease_is_renewed_while_a_handler_runs() -> None:
    """[P-53] G3"""
    with engine(outcome_lease=0.4) as running:
        slow, peer = Sender(running), Sender(running)
        slow.send("order", None, cid="p1", pid="p", n=1)
        time.sleep(1.2)
        peer.send("order", None, cid="p1", pid="p", n=1)
        time.sleep(0.3)
        slow.wait(0)
        slow.handle(b"7", False)
        assert peer.until("reply") == 7


@pytest.mark.parametrize("limit", [{"dead_letters": 2}, {"dead_letter_bytes": 600}], ids=lambda limit: next(iter(limit)))
def test_dead_letters_are_bounded_by(limit: dict[str, Any]) -> None:
    """G5"""
    with engine(**limit) as running:
        peer = Sender(running)
        for number in range(1, 6):
            assert peer.ask(number, fail=True)["code"] == "HANDLER_FAILED"
        numbers = [letter[7]["n"] for letter in running.dead_letters(10)]
        assert 1 <= len(numbers) < 5 and numbers[-1] == 5
        assert running.health()["dead_letters_dropped"] == 5 - len(numbers)


def test_dead_letter_age_is_how_long_one_is_kept() -> None:
    """G5"""
    with engine(dead_letter_age=0.5) as running:
        Sender(running).ask(1, fail=True)
        [letter] = running.dead_letters(10)
        time.sleep(0.7)
        assert running.dead_letters(10) == []
        with pytest.raises(WSEDeadLetterError, match="no such letter"):
            running.claim_dead_letter(letter[0])
