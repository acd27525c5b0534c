"""Notices of real runs to a real mail server and a real webhook, both on loopback."""

from __future__ import annotations

import email
import http.server
import json
import threading
from collections.abc import Iterator
from email import policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from simulator.launch import free_port

from integration.desk import Desk

SECRET = "hunter2-hook-token"  # noqa: S105 - the tests look for it where it must not be
SWEEP = "playbooks/health_sweep.yml"


class Mailbox:
    """Keeps each message that the mail server is handed."""

    def __init__(self) -> None:
        self.messages: list[email.message.EmailMessage] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.messages.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    """A mail server, and its address as Apprise writes it."""
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        yield box, f"mailto://127.0.0.1:{server.port}?from=desk@example.com&to=trader@example.com&mode=insecure"
    finally:
        server.stop()


class Webhook(http.server.ThreadingHTTPServer):
    """Keeps what is posted to it. answer: the status it gives."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Posted)
        self.answer, self.posted = 200, []

    posted: list[dict[str, Any]]


class _Posted(http.server.BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.answer == 200:
            self.server.posted.append({"path": self.path, **body})
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def webhook() -> Iterator[tuple[Webhook, str]]:
    """A webhook, and its address as Apprise writes it."""
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server, f"json://127.0.0.1:{server.server_address[1]}/{SECRET}"
        finally:
            server.shutdown()
            thread.join()


def kept(desk: Desk) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((desk.folder / "reports" / "notices.json").read_text())
    return found


def test_who_wants_to_be_told_hears_once_that_a_gateway_broke_and_once_that_it_was_repaired(
    desk: Desk, mailbox: tuple[Mailbox, str], webhook: tuple[Webhook, str]
) -> None:
    (box, mail), (hook, post) = mailbox, webhook
    desk.settings["ib_notify_urls"] = [mail, post]
    desk.gateway("stall")
    broken = desk.play(SWEEP)
    assert broken.rc != 0 and "told of 1 gateway: address 1 (E-Mail), address 2 (JSON)" in broken.output
    assert kept(desk) == {"desk": {"live": "broken"}}
    desk.play(SWEEP)  # nothing is new
    repaired = desk.play("remediate.yml", "-vvv")
    desk.play("remediate.yml")  # nothing is new
    assert repaired.rc == 0 and kept(desk) == {}
    titles = ["IB Gateway live on desk broke", "IB Gateway live on desk was repaired"]
    assert [each["Subject"] for each in box.messages] == titles == [each["title"] for each in hook.posted]
    assert [each["type"] for each in hook.posted] == ["warning", "success"]
    first, second = (each["message"] for each in hook.posted)
    assert str(desk.port) in first and "remediate.yml" in first
    assert "restarted live by its start_command" in second
    body = box.messages[0].get_body(("plain", "html"))
    assert body is not None and "remediate.yml" in body.get_content()
    for run in (broken, repaired):
        assert SECRET not in run.output
    assert not any(SECRET in each.read_text(errors="replace") for each in (desk.folder / "reports").iterdir())


def test_a_service_that_refuses_is_named_without_its_address_and_is_told_again_by_the_next_run(
    desk: Desk, webhook: tuple[Webhook, str]
) -> None:
    hook, post = webhook
    desk.settings["ib_notify_urls"] = [post]
    desk.gateway("stall")
    hook.answer = 500
    refused = desk.play(SWEEP)
    assert "ib_notify_urls, address 1 (JSON): it did not take the message" in refused.output
    assert SECRET not in refused.output and not (desk.folder / "reports" / "notices.json").exists()
    hook.answer = 200
    assert "told of 1 gateway" in desk.play(SWEEP).output
    assert [each["title"] for each in hook.posted] == ["IB Gateway live on desk broke"]


def test_check_mode_tells_nobody(desk: Desk, webhook: tuple[Webhook, str]) -> None:
    hook, post = webhook
    desk.settings["ib_notify_urls"] = [post]
    desk.gateway("stall")
    run = desk.play("remediate.yml", "--check")
    assert "would have told of 1 gateway" in run.output and hook.posted == [] and SECRET not in run.output
