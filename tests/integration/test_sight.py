"""What cannot be seen is unknown: the look from accounts and places that do not see everything."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

import pytest

from integration.desk import Desk
from integration.modules import run_module_as

NOBODY = 65534
_CLONE_NEWNS, _CLONE_NEWNET, _MS_REC, _MS_PRIVATE = 0x20000, 0x40000000, 0x4000, 0x40000

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")


def _libc(call: str, *arguments: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, call)(*arguments):
        raise OSError(ctypes.get_errno(), f"{call} failed")


def become_nobody() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def hide_processes() -> None:
    """A /proc of its own in which an account sees only its own processes."""
    _libc("unshare", _CLONE_NEWNS)
    _libc("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    _libc("mount", b"proc", b"/proc", b"proc", 0, b"hidepid=2")
    become_nobody()


def health_as(prepare: Callable[[], None], desk: Desk, **entry: Any) -> dict[str, Any]:
    found = run_module_as(prepare, "ib_gateway_health", gateways=[desk.entry(**entry)])
    assert "gateways" in found, found
    return found


@pytest.mark.parametrize("prepare", [become_nobody, hide_processes])
@pytest.mark.parametrize("user", ["root", None])
def test_another_users_gateway_is_unknown_to_an_ordinary_account(
    desk: Desk, prepare: Callable[[], None], user: str | None
) -> None:
    desk.gateway()
    found = health_as(prepare, desk, user=user)
    gateway = found["gateways"][0]
    assert (found["status"], gateway["verdict"], gateway["plan"]["steps"]) == ("unknown", "partial_visibility", [])
    assert found["visibility"]["missing"] and not found["visibility"]["complete"]
    assert "nobody" in gateway["summary"]


@pytest.mark.parametrize("prepare", [become_nobody, hide_processes])
def test_a_gateway_that_is_not_there_is_not_called_missing_by_who_cannot_see(
    desk: Desk, prepare: Callable[[], None]
) -> None:
    found = health_as(prepare, desk, user="root")
    assert {each["code"] for each in found["gateways"][0]["findings"]} == {"partial_visibility"}


def test_an_ordinary_account_sees_that_its_own_gateway_does_not_run(desk: Desk) -> None:
    found = health_as(become_nobody, desk, user="nobody")
    assert found["gateways"][0]["verdict"] == "gateway_not_running"


def test_a_port_whose_owner_is_hidden_is_unknown_even_to_its_declared_user(desk: Desk) -> None:
    desk.listener()
    found = health_as(become_nobody, desk, user="nobody")
    assert found["gateways"][0]["verdict"] == "partial_visibility"
    assert str(desk.port) in found["gateways"][0]["summary"]


def test_a_gateway_in_another_network_namespace_is_unknown(desk: Desk) -> None:
    desk.gateway()
    found = health_as(lambda: _libc("unshare", _CLONE_NEWNET), desk)
    assert found["gateways"][0]["verdict"] == "partial_visibility"
    assert "network namespace" in found["gateways"][0]["summary"]


def test_without_netlink_procfs_tells_the_same(desk: Desk) -> None:
    gateway = desk.gateway()

    def without_netlink() -> None:
        from ansible.module_utils.ib_gateway.observe import addresses, sockets

        def refused(states: int, ports: tuple[int, ...]) -> list[addresses.SocketRow]:
            raise PermissionError(f"netlink is refused: {states} {ports}")

        sockets.read_netlink = refused

    found = health_as(without_netlink, desk)
    assert found["status"] == "healthy"
    assert [each["pid"] for each in found["gateways"][0]["processes"]] == [gateway.pid]
