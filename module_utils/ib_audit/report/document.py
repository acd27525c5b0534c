"""What an audit found over a fleet: the document, its lines for a terminal, and who fails the run. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..reading.model import SEVERITIES

SCHEMA = "ib-client-audit/1"
#: As pyproject.toml has it; a test holds both alike.
TOOL_VERSION = "0.2.0"
#: By ib_audit_fail_on: the severities that make the exit code say no.
FAILING = {"never": (), **{severity: SEVERITIES[index:] for index, severity in enumerate(SEVERITIES)}}
_KEPT = ("problems", "summary", "files", "clients", "running", "ignored", "fixed", "left", "backups")
_LISTED = 20
#: What is said of a host on which nothing was read: it is no news about its scripts.
NOTHING = (
    "no script was looked at: none that uses the API runs now, and no path was given. "
    "Name files, folders or globs in ib_client_audit_paths"
)


def host_document(name: str, result: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """One host's part. result: what the module registered; a host that was not looked at has none that can be used."""
    looked = bool(result) and isinstance(result, Mapping) and "problems" in result and "summary" in result
    found: Dict[str, Any] = {
        "name": name,
        "looked": looked,
        "reason": "" if looked else _reason(result),
        "summary": dict.fromkeys(SEVERITIES, 0),
        "files": 0,
        "ignored": 0,
        **{key: [] for key in ("problems", "clients", "running", "fixed", "left", "backups")},
    }
    if result is not None and looked:
        found.update({key: result[key] for key in _KEPT if key in result})
    return found


def _reason(result: Optional[Mapping[str, Any]]) -> str:
    if not isinstance(result, Mapping):
        return "the host was not looked at"
    return str(result.get("msg") or "the look returned nothing that can be used")


def document(hosts: Sequence[Mapping[str, Any]], context: Mapping[str, Any]) -> Dict[str, Any]:
    """The fleet's document. hosts: host documents; context: generated_at, check_mode."""
    ordered = sorted((dict(host) for host in hosts), key=lambda host: str(host["name"]))
    for host in ordered:
        host.setdefault("audited_at", context["generated_at"])
    return {
        "schema": SCHEMA,
        "generated_at": context["generated_at"],
        "check_mode": context["check_mode"],
        "tool_version": context.get("tool_version", TOOL_VERSION),
        "summary": {
            "hosts": len(ordered),
            "looked": sum(host["looked"] for host in ordered),
            "files": sum(host["files"] for host in ordered),
            "clients": sum(len(host["clients"]) for host in ordered),
            "problems": {each: sum(host["summary"][each] for host in ordered) for each in SEVERITIES},
        },
        "hosts": ordered,
    }


def failing(audited: Mapping[str, Any], fail_on: str) -> List[str]:
    """The names of the hosts that make the exit code say no: problems from a severity on, or not looked at."""
    if fail_on not in FAILING:
        raise ValueError("fail_on is %r; use %s" % (fail_on, ", ".join(FAILING)))
    severities = FAILING[fail_on]
    return [
        host["name"]
        for host in audited["hosts"]
        if severities and (not host["looked"] or any(host["summary"][each] for each in severities))
    ]


def sentence(host: Mapping[str, Any]) -> str:
    """Why a host fails the run, in one line."""
    if not host["looked"]:
        return "%s could not be audited: %s" % (host["name"], host["reason"])
    if not host["files"]:
        return "%s: %s" % (host["name"], NOTHING)
    return "%s: %s in %s" % (host["name"], counted(host["summary"]), _number(host["files"], "file"))


def counted(summary: Mapping[str, int]) -> str:
    """Problems by severity, the worst first."""
    told = ["%d %s%s" % (summary[each], each, "s" * (summary[each] != 1)) for each in reversed(SEVERITIES)]
    return ", ".join(text for text, each in zip(told, reversed(SEVERITIES)) if summary[each]) or "no problems"


def _number(count: int, noun: str) -> str:
    return "%d %s%s" % (count, noun, "" if count == 1 else "s")


def lines(audited: Mapping[str, Any]) -> List[str]:
    """The document as a person reads it at a terminal."""
    total = audited["summary"]
    came_to = counted(total["problems"]) if total["files"] else NOTHING
    read = (_number(total["hosts"], "host"), _number(total["files"], "file"), _number(total["clients"], "client"))
    found = ["%s, %s, %s among them: %s" % (*read, came_to)]
    for host in audited["hosts"]:
        found.append(sentence(host))
        found.extend("  " + str(each["told"]) for each in host["running"][:_LISTED] if "told" in each)
        worst_first = sorted(host["problems"], key=lambda each: -SEVERITIES.index(each["severity"]))
        for problem in worst_first[:_LISTED]:
            found.append("  " + line(problem))
        if len(worst_first) > _LISTED:
            found.append("  and %d more" % (len(worst_first) - _LISTED))
        done = "would be mended" if audited["check_mode"] else "mended"
        found.extend("  %s: %s" % (done, line(problem)) for problem in host["fixed"][:_LISTED])
        found.extend("  left: %(file)s:%(line)d %(code)s: %(reason)s" % each for each in host["left"][:_LISTED])
    return [_on_one_line(each) for each in found]


def _on_one_line(text: str) -> str:
    """A text in which a file's name cannot end the line or steer the terminal."""
    return "".join(each if each.isprintable() else "\\x%02x" % ord(each) for each in text)


def line(problem: Mapping[str, Any]) -> str:
    """A problem in one line, in the form that terminals and editors make a link of."""
    place = "%(file)s:%(line)d:%(column)d" % problem if problem["line"] else str(problem["file"])
    return "%s: %s: %s [%s]" % (place, problem["severity"], problem["summary"], problem["code"])
