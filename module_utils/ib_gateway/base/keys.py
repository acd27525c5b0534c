"""The keys of one entry of `ib_gateways`, in one table. Pure data, no imports of this project but the words of spec.

The parser (inventory.py), the modules' argument spec and the documentation of their option `gateways` are made from it;
tests hold GatewaySpec, the README's table and the roles to it. A key is added here and in GatewaySpec (spec.py).

A row is what Ansible's argument spec knows (type, elements, required, default, choices, options) and:
    meaning   for people, in Ansible's markup. It travels to the hosts with the table, one KiB of some 300 that a module
              call sends: the price for a key that is described where it is declared, and nowhere else.
    unset     how the README writes the default of a key that has no fixed one; "none" without it.
    bounds    the least and the most that a number may be.
    form      what a text, or the names and texts of a list or dictionary, must look like: a key of inventory.FORMS.
    secret    its values never reach a log, a result, or a repr.
"""

from typing import Any, Dict

from .spec import CONTAINER_ENGINES, PRODUCTS, REMEDIATIONS, SERVICE_SCOPES, TRADING_MODES

KEYS: Dict[str, Dict[str, Any]] = {
    "name": {
        "type": "str",
        "required": True,
        "form": "name",
        "meaning": "A name that is unique on the host: letters, digits, dots, dashes, underscores.",
    },
    "trading_mode": {
        "type": "str",
        "required": True,
        "choices": list(TRADING_MODES),
        "meaning": "Whether the gateway trades real money.",
    },
    "product": {
        "type": "str",
        "default": PRODUCTS[0],
        "choices": list(PRODUCTS),
        "meaning": "What serves the API: IB Gateway, or Trader Workstation (TWS).",
    },
    "port": {
        "type": "int",
        "bounds": (1, 65535),
        "unset": "4001 for live, 4002 for paper; of tws 7496 and 7497",
        "meaning": "The API port that the gateway serves; one port serves one entry.",
    },
    "user": {
        "type": "str",
        "unset": "any",
        "meaning": "The OS account that owns the gateway; with O(gateways[].container) the one whose engine it is.",
    },
    "config_dir": {
        "type": "str",
        "form": "absolute path",
        "unset": "any",
        "meaning": "Its Jts directory, an absolute path: matches C(-DjtsConfigDir=) or the working directory of the "
        "process.",
    },
    "service": {
        "type": "str",
        "meaning": "The systemd unit that starts it.",
    },
    "service_scope": {
        "type": "str",
        "default": SERVICE_SCOPES[0],
        "choices": list(SERVICE_SCOPES),
        "meaning": "Whose systemd has the unit: V(system), or V(user) for the one of O(gateways[].user).",
    },
    "start_command": {
        "type": "list",
        "elements": "str",
        "form": "texts",
        "secret": True,
        "meaning": "The argument list that starts it on a host without a unit, run as O(gateways[].user), detached; "
        "never logged and never returned, because it may carry a password.",
    },
    "start_environment": {
        "type": "dict",
        "default": {},
        "form": "environment",
        "secret": True,
        "meaning": "Environment variables that O(gateways[].start_command) needs, as names and texts; the texts are "
        "never logged and never returned.",
    },
    "container": {
        "type": "dict",
        "meaning": "The container that carries the gateway, told by its name or by its compose project and service, "
        "started and restarted by its engine; one container may carry several gateways.",
        "options": {
            "engine": {
                "type": "str",
                "required": True,
                "choices": list(CONTAINER_ENGINES),
                "meaning": "What runs the container.",
            },
            "name": {
                "type": "str",
                "form": "container name",
                "meaning": "The container's name; without it, both compose keys.",
            },
            "compose_project": {
                "type": "str",
                "form": "container name",
                "meaning": "The compose project, as C(com.docker.compose.project) labels it.",
            },
            "compose_service": {
                "type": "str",
                "form": "container name",
                "meaning": "The compose service whose only container it is.",
            },
        },
    },
    "start_timeout": {
        "type": "int",
        "default": 300,
        "bounds": (1, 3600),
        "meaning": "Seconds a start may take until the port listens; confirming a second factor alone may take 180.",
    },
    "ibc_command_port": {
        "type": "int",
        "bounds": (1, 65535),
        "meaning": "The port on which IBC's command server listens. Where it does, a repair can restart the gateway "
        "with its login kept, have it reconnect to the broker, and end it cleanly; read from IBC's settings when left "
        "out.",
    },
    "max_api_clients": {
        "type": "int",
        "bounds": (1, 32),
        "meaning": "How many API connections may be open at once, beyond which they compete; without it sessions that "
        "work never compete.",
    },
    "client_patterns": {
        "type": "list",
        "elements": "str",
        "default": [],
        "form": "narrow regular expressions",
        "meaning": "Regular expressions on a script's command line that mark it a competing client, connected or not; "
        "of other programs than script interpreters only the program itself counts, so an editor is no client.",
    },
    "protected_clients": {
        "type": "list",
        "elements": "str",
        "default": [],
        "form": "regular expressions",
        "meaning": "Regular expressions on a command line; a process that matches one is never stopped.",
    },
    "allow_kill": {
        "type": "bool",
        "default": False,
        "meaning": "Whether a process that has not ended after SIGTERM and the grace period may be killed.",
    },
    "allow_restart_with_clients": {
        "type": "bool",
        "default": False,
        "meaning": "Whether the gateway may be restarted although other scripts have working sessions; those that "
        "O(gateways[].protected_clients) names never lose theirs.",
    },
    "remediation": {
        "type": "str",
        "default": REMEDIATIONS[0],
        "choices": list(REMEDIATIONS),
        "meaning": "V(auto) repairs; V(plan_only) says what would be done and touches nothing.",
    },
}

#: What of a row Ansible's argument spec knows.
_ARGUMENT = ("type", "elements", "required", "default", "choices")


def _argument(row: Dict[str, Any]) -> Dict[str, Any]:
    found = {word: row[word] for word in _ARGUMENT if word in row}
    if "options" in row:
        found["options"] = {key: _argument(each) for key, each in row["options"].items()}
    return found


#: The argument spec of one entry, for modules that take entries.
ENTRY_OPTIONS: Dict[str, Dict[str, Any]] = {key: _argument(row) for key, row in KEYS.items()}
