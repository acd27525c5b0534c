"""Tells a person what has changed, by the services that Apprise knows. Off where no address is given.

An address holds a secret. It is in no task's arguments, and nothing here says more of one than which it is and the name
of its service: Apprise's own words are dropped, since they quote addresses.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..document import notices
from ..document.report_error import ReportError
from ..document.text import counted
from ..store import told as store

#: Seconds for all addresses together, each in a thread of its own.
PATIENCE = 30.0
_PACKAGE = "apprise"


class Sent(NamedTuple):
    """What came of it, in words. problems: what was not told, and why."""

    lines: Sequence[str] = ()
    problems: Sequence[str] = ()


def tell(fleet: Mapping[str, Any], folder: Path, addresses: Any, least: Any, patience: float = PATIENCE) -> Sent:
    """Sends one message about all that has changed since the last one. folder: that of the reports.

    What no address has taken is told again by the next run. Nothing is sent in check mode.
    """
    if addresses in (None, "", []):
        return Sent()
    if not (isinstance(addresses, Sequence) and not isinstance(addresses, str)):
        return Sent(problems=["nobody was told: ib_notify_urls is no list; write each address on a line of its own"])
    if least not in notices.FROM:
        return Sent(problems=[f"nobody was told: ib_notify_on is {least!r}; use {' or '.join(notices.FROM)}"])
    problems: list[str] = []
    try:
        before = store.read(folder)
    except ReportError as error:
        before, problems = {}, [f"{error}; it is begun anew, so what was told before may be told again"]
    found = notices.notices(fleet, before, least)
    if fleet["check_mode"]:
        would = f"check mode: would have told of {counted(len(found), 'gateway')}"
        return Sent([would] if found else [], problems)
    taken: Sequence[str] = []
    if found:
        taken, failed = _send(notices.message(found, fleet), addresses, patience)
        problems += failed
    if taken or not found:
        problems += _keep(folder, before, notices.after(fleet, before, least))
    told = f"told of {counted(len(found), 'gateway')}: {', '.join(taken)}"
    return Sent([told] if taken else [], problems)


def _keep(folder: Path, before: notices.Told, now: notices.Told) -> list[str]:
    try:
        if now != before:
            store.write(folder, now)
    except ReportError as error:
        return [f"{error}; what was told now may be told again"]
    return []


def _send(message: notices.Message, addresses: Sequence[Any], patience: float) -> tuple[list[str], list[str]]:
    """(what has taken the message, what has not and why), an entry for each address."""
    try:
        import apprise
    except ImportError:
        return [], [f"nobody was told: the Python package {_PACKAGE} is missing: run make notices"]
    # Without a handler of its own, Python would print Apprise's warnings, and they quote addresses.
    logger = logging.getLogger(_PACKAGE)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    kind = apprise.NotifyType.WARNING if message.bad else apprise.NotifyType.SUCCESS
    results: list[bool | None] = [None] * len(addresses)
    names = []

    def send(number: int, service: Any) -> None:
        try:
            told = service.notify(
                title=message.title, body=message.body, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
            )
            results[number] = bool(told)
        except Exception:  # a service's plugin is a stranger's code, and what it says may quote the address
            results[number] = False

    threads = []
    for number, address in enumerate(addresses):
        service = apprise.Apprise.instantiate(str(address), suppress_exceptions=True)
        name = f"address {number + 1}"
        names.append(f"{name} ({service.service_name})" if service else name)
        if service:
            several = apprise.Apprise()
            several.add(service)
            threads.append(threading.Thread(target=send, args=(number, several), daemon=True))
            threads[-1].start()
        else:
            names[-1] += ", which is no address that Apprise knows"
            results[number] = False
    ends = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    taken = [name for name, result in zip(names, results) if result]
    failed = [
        "not told: ib_notify_urls, %s: %s"
        % (name, "it did not take the message" if result is False else f"no answer within {patience:g} s")
        for name, result in zip(names, results)
        if not result
    ]
    return taken, failed
