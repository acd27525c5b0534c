# SPDX-License-Identifier: Apache-2.0
"""Jinja filters of the audit of trading scripts: each hands its input to a pure function of module_utils."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleFilterError

# The `module_utils` setting serves modules only; plugins find the folder through the package's own path.
_SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if _SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_SHARED)

from ansible.module_utils.ib_audit.report import document as report  # noqa: E402 - needs the path above
from ansible.module_utils.ib_audit.report import sarif  # noqa: E402 - likewise
from ansible.module_utils.ib_fleet.run import answers  # noqa: E402 - likewise

_REGISTERED = "ib_client_audit_result"


def audit_document(hosts: Iterable[str], hostvars: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """The audit's document over these hosts, from what the role registered on them."""
    return report.document(
        [report.host_document(str(host), answers.registered(hostvars[host], _REGISTERED)) for host in hosts], context
    )


def failing(document: Mapping[str, Any], fail_on: str) -> list[str]:
    """The hosts of an audit document that make the exit code say no."""
    try:
        return report.failing(document, fail_on)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


def sentence(document: Mapping[str, Any], host: str) -> str:
    """Why one host of an audit document fails the run."""
    return next((report.sentence(each) for each in document["hosts"] if each["name"] == host), f"{host} is not in it")


class FilterModule:
    """The filters under the names the playbook uses."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "ib_audit_document": audit_document,
            "ib_audit_failing": failing,
            "ib_audit_lines": report.lines,
            "ib_audit_sarif": sarif.sarif,
            "ib_audit_sentence": sentence,
        }
