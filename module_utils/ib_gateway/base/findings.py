"""The catalogue of findings: for each code its severity, its weight, what it means and what is done about it.

A rule makes its finding from an entry: `findings.WRONG_PORT.found(summary, evidence)`. Codes are stable: dashboards,
pipelines and scripts outside of this project name them. docs/findings.md explains each at length.

The texts stand here and not with the controller, so that an entry is written in one place. A module call pays 0.2 ms
and 2 KiB for them.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from .record import Record

# A gateway's status and a finding's severity.
HEALTHY = "healthy"
INFO = "info"
DEGRADED = "degraded"
UNKNOWN = "unknown"
UNHEALTHY = "unhealthy"
#: From the best to the worst. HEALTHY is no severity, INFO no status.
SEVERITIES = (HEALTHY, INFO, DEGRADED, UNKNOWN, UNHEALTHY)


class FindingType(Record):
    """One entry of the catalogue.

    severity: the usual one; a rule may lower or raise it. weight: of two findings of one severity the one with the
    smaller number decides the verdict. means, done: one sentence each.
    """

    code: str
    severity: str
    weight: int
    means: str
    done: str

    @property
    def check(self) -> str:
        """The name of its JUnit check, which is its code: pipelines that count on one know both by it."""
        return self.code

    def found(self, summary: str, evidence: Mapping[str, Any], severity: Optional[str] = None) -> Finding:
        """The finding: this is so, by this evidence. severity: where it is not the usual one."""
        return Finding(self, severity or self.severity, summary, evidence)


class Finding(Record):
    """One thing that is so, with its evidence. severity: info, degraded, unknown or unhealthy."""

    type: FindingType
    severity: str
    summary: str
    evidence: Mapping[str, Any]

    @property
    def code(self) -> str:
        """The code of its entry."""
        return self.type.code


_entries: List[FindingType] = []


def _entry(code: str, severity: str, means: str, done: str) -> FindingType:
    entry = FindingType(code, severity, len(_entries), means, done)
    _entries.append(entry)
    return entry


# In the order in which they weigh: what hides the rest first, then causes before what they bring about.

PARTIAL_VISIBILITY = _entry(
    "partial_visibility",
    UNKNOWN,
    "The account that looked could not see something that the rules need.",
    "Nothing is touched; the report names what was not seen.",
)
CLAIMED_BY_ANOTHER_ACCOUNT = _entry(
    "claimed_by_another_account",
    UNKNOWN,
    "A gateway of an account that nothing ties to the entry looks like its own, or shares its port.",
    "Nothing is touched; the report names the process and its account.",
)
CANNOT_JUDGE = _entry(
    "cannot_judge",
    UNKNOWN,
    "The server and what looks at it have no version of the API protocol in common.",
    "Nothing is touched; the report names the versions of both sides.",
)
GATEWAY_UNSTABLE = _entry(
    "gateway_unstable",
    UNHEALTHY,
    "The gateway process ended or was replaced while it was watched after a repair.",
    "Repairs of this gateway are blocked until a person allows them again.",
)
DISK_FULL = _entry(
    "disk_full",
    UNHEALTHY,
    "The file system that the gateway writes its settings and logs to has no space left.",
    "Nothing is started or restarted; the report names the file system.",
)
START_LIMIT_HIT = _entry(
    "start_limit_hit",
    UNHEALTHY,
    "systemd refuses to start the unit, because it was started too often in a short time.",
    "The unit's counter is reset, then the unit is started.",
)
CRASH_LOOP = _entry(
    "crash_loop",
    UNHEALTHY,
    "The gateway is started again and again, and ends each time before it listens.",
    "Nothing is started or restarted; the report names what starts it and how it ended.",
)
PORT_TAKEN = _entry(
    "port_taken",
    UNHEALTHY,
    "Another process, which is no gateway of this entry, listens on the port.",
    "No gateway is started, restarted or stopped; the report names the process.",
)
PORT_RELAYED = _entry(
    "port_relayed",
    DEGRADED,
    "A relay listens on the entry's port, and the entry's gateway serves another port behind it.",
    "Nothing is done; the report names the relay and the port that the gateway itself listens on.",
)
CONTAINER_LINK_DOWN = _entry(
    "container_link_down",
    UNHEALTHY,
    "The port of the host leads into a container, and one link of the way to the gateway there is down.",
    "The report names the link; where the entry names the container, its engine restarts it.",
)
GATEWAY_NOT_RUNNING = _entry(
    "gateway_not_running",
    UNHEALTHY,
    "No gateway process fits the entry, and nothing that runs is about to bring one.",
    "The gateway is started, after a second look if its unit does not say that it has ended.",
)
WRONG_TRADING_MODE = _entry(
    "wrong_trading_mode",
    UNHEALTHY,
    "The gateway is logged in to paper accounts and the entry says live, or the other way round.",
    "Nothing is done on this gateway; no script should trade on it.",
)
LOGIN_TAKEN_OVER = _entry(
    "login_taken_over",
    UNHEALTHY,
    "Another login of the same user has taken the broker's session from this gateway.",
    "The session is not taken back, because a person may be using it; the report says since when.",
)
LOGIN_REFUSED = _entry(
    "login_refused",
    UNHEALTHY,
    "The broker refuses the login: the gateway shows an error in place of its main window.",
    "Nothing is started or restarted, because repeated logins lock an account; the report counts them.",
)
GATEWAY_STOPPED = _entry(
    "gateway_stopped",
    UNHEALTHY,
    "A person or a schedule has stopped the gateway through IBC's command server.",
    "Nothing is started; the report says when it was stopped and by which command.",
)
UPSTREAM_DOWN = _entry(
    "upstream_down",
    UNHEALTHY,
    "The gateway works and has lost the broker's servers.",
    "The repair waits once for the link; where IBC's command server listens, the gateway is then told to reconnect.",
)
NO_BROKER_ROUTE = _entry(
    "no_broker_route",
    UNHEALTHY,
    "The gateway tries to connect to the broker's servers, and the network does not answer.",
    "The repair waits once and looks again; a restart does not help.",
)
GATEWAY_FROZEN = _entry(
    "gateway_frozen",
    UNHEALTHY,
    "The gateway process is stopped by a signal or a debugger, or waits in the kernel for a disk, and cannot answer.",
    "A process that only a signal keeps stopped is let go on; else the report names it and what lets it go on.",
)
DUPLICATE_GATEWAYS = _entry(
    "duplicate_gateways",
    UNHEALTHY,
    "More than one gateway process runs for the entry.",
    "The one that owns the port stays; the others are stopped.",
)
WRONG_PORT = _entry(
    "wrong_port",
    UNHEALTHY,
    "The gateway serves another port than the entry's.",
    "Nothing is done; the report names both ports and the scripts on each.",
)
NOT_LISTENING = _entry(
    "not_listening",
    UNHEALTHY,
    "The gateway has served before and listens no more.",
    "If a second look finds it so, scripts that hold a connection with it are stopped, then it is restarted.",
)
ACCEPT_QUEUE_FULL = _entry(
    "accept_queue_full",
    UNHEALTHY,
    "Connections wait in the port's queue, and the gateway accepts none of them.",
    "The gateway is restarted, unless a working session is open on it.",
)
HANDSHAKE_REFUSED = _entry(
    "handshake_refused",
    UNHEALTHY,
    "The port listens, but a connection to it fails.",
    "Sessions that have long been silent are cut, then the gateway is restarted.",
)
HANDSHAKE_SILENT = _entry(
    "handshake_silent",
    UNHEALTHY,
    "The gateway accepts the connection and sends no server version.",
    "Sessions that have long been silent are cut, then the gateway is restarted.",
)
HANDSHAKE_DROPPED = _entry(
    "handshake_dropped",
    UNHEALTHY,
    "The gateway closes the connection before the session is ready.",
    "Sessions that have long been silent are cut, then the gateway is restarted.",
)
HANDSHAKE_STALLED = _entry(
    "handshake_stalled",
    UNHEALTHY,
    "The gateway sends its server version and then neither accounts nor a first order id.",
    "Sessions that have long been silent are cut, then the gateway is restarted.",
)
SESSION_INCOMPLETE = _entry(
    "session_incomplete",
    UNHEALTHY,
    "The gateway sends a part of what opens a session, and the rest never comes.",
    "Sessions that have long been silent are cut, then the gateway is restarted.",
)
SESSION_SILENT = _entry(
    "session_silent",
    UNHEALTHY,
    "The gateway opens the session in full and then answers no request.",
    "The gateway is restarted, unless a working session is open on it.",
)
STALE_CONNECTIONS = _entry(
    "stale_connections",
    UNHEALTHY,
    "The gateway holds connections whose client has gone.",
    "The gateway is restarted where a handshake has shown that they block the API.",
)
COMPETING_CLIENTS = _entry(
    "competing_clients",
    UNHEALTHY,
    "More API connections are open than the entry allows, or a script runs that client_patterns names.",
    "The surplus connections are cut or their scripts stopped, never protected ones.",
)
SESSION_SLOW = _entry(
    "session_slow",
    DEGRADED,
    "The session opens, but later than scripts wait for it, or a part of what they read as they connect is late.",
    "The report says what was late; nothing is restarted, because the gateway still answers.",
)
CLIENT_ID_HELD = _entry(
    "client_id_held",
    INFO,
    "A script that hangs keeps its session: a copy with the same client id gets error 326.",
    "The report names the script that holds the id.",
)
CLIENT_ID_IN_USE = _entry(
    "client_id_in_use",
    DEGRADED,
    "Each client id that the look tried is in use.",
    "The report names the scripts that may hold the ids.",
)
STALE_REMOTE_SESSION = _entry(
    "stale_remote_session",
    DEGRADED,
    "A client on another host holds a session and no longer answers the network.",
    "The report names its address; the connection is cut only where TCP shows that the client is gone.",
)
LOCALHOST_FAMILY = _entry(
    "localhost_family",
    DEGRADED,
    "What `localhost` gives to scripts on this host leads past the gateway: to nobody, or to another program.",
    "The report names the address that scripts should use, and who else answers.",
)
FARM_BROKEN = _entry(
    "farm_broken",
    DEGRADED,
    "The gateway serves the API and has lost one of the broker's data farms.",
    "The report names the farm; it comes back by itself.",
)
DISCLAIMER_PENDING = _entry(
    "disclaimer_pending",
    DEGRADED,
    "The paper account waits until a person accepts the disclaimer at the gateway's screen.",
    "The report says so; a restart would only bring the disclaimer back.",
)
LOGIN_PENDING = _entry(
    "login_pending",
    DEGRADED,
    "The gateway runs and has never served: its login is under way, or waits for a person.",
    "The repair waits for the port; the login is not interrupted.",
)
GATEWAY_COMING_UP = _entry(
    "gateway_coming_up",
    DEGRADED,
    "No gateway process runs, and the unit, loop or script that brings it is alive.",
    "The repair waits for the port; no second gateway is started.",
)
GATEWAY_STARTING = _entry(
    "gateway_starting",
    DEGRADED,
    "The gateway is younger than start_timeout and does not listen yet.",
    "The repair waits for the port.",
)

#: Every entry by its code, in the order in which they weigh.
CATALOGUE: Dict[str, FindingType] = {entry.code: entry for entry in _entries}

#: Entries that no rule finds yet. Reports do not claim to have checked for them; a test keeps this list exact.
PLANNED: Tuple[FindingType, ...] = ()
