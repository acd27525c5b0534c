"""What docs/live-probe.md shows can be used: fields that exist, commands the probe takes, times that do no harm."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any, Dict, List

import jsonschema
import pytest
import yaml
from unit.live_probe import PROBE, source
from unit.module_runs import PROJECT

PAGE = (PROJECT / "docs" / "live-probe.md").read_text(encoding="utf-8")
INSTALLED = "/usr/local/bin/ib_gateway_probe.py"
options = source("command").options
judge = source("judge")


def blocks(language: str) -> List[str]:
    """The fenced blocks of a language."""
    return re.findall(r"^```%s\n(.*?)^```" % language, PAGE, re.MULTILINE | re.DOTALL)


COMPOSE, MANIFEST = (yaml.safe_load(each) for each in blocks("yaml"))
(DOCKERFILE,) = blocks("dockerfile")

_TEXT: Dict[str, Any] = {"type": "string"}
_TIME = {"type": "string", "pattern": r"^\d+s$"}


def fields(required: str = "", **kinds: Any) -> Dict[str, Any]:
    """The schema of an object that has no other fields than these."""
    return {
        "type": "object",
        "properties": kinds,
        "required": required.split(),
        "additionalProperties": False,
    }


def rows(kind: Dict[str, Any]) -> Dict[str, Any]:
    """The schema of a list that is not empty."""
    return {"type": "array", "items": kind, "minItems": 1}


#: Of the Compose specification what the example uses.
COMPOSE_SERVICE = fields(
    "image",
    image=_TEXT,
    restart={"enum": ["no", "always", "on-failure", "unless-stopped"]},
    stop_grace_period=_TIME,
    network_mode={"type": "string", "pattern": "^service:[a-z]+$"},
    command=rows(_TEXT),
    init={"type": "boolean"},
    volumes=rows(_TEXT),
    healthcheck=fields(
        "test", test=rows(_TEXT), interval=_TIME, timeout=_TIME, start_period=_TIME, retries={"type": "integer"}
    ),
    depends_on={
        "type": "object",
        "additionalProperties": fields(
            "condition",
            condition={"enum": ["service_started", "service_healthy", "service_completed_successfully"]},
        ),
    },
)
#: Of Kubernetes' API what the example uses.
_COUNT = {"type": "integer", "minimum": 1}
_LABELS = {"type": "object", "additionalProperties": _TEXT}
KUBERNETES_PROBE = fields(
    "exec",
    exec=fields("command", command=rows(_TEXT)),
    periodSeconds=_COUNT,
    timeoutSeconds=_COUNT,
    failureThreshold=_COUNT,
    initialDelaySeconds=_COUNT,
)
DEPLOYMENT = fields(
    "apiVersion kind metadata spec",
    apiVersion={"const": "apps/v1"},
    kind={"const": "Deployment"},
    metadata=fields("name", name=_TEXT),
    spec=fields(
        "selector template",
        replicas={"const": 1},
        strategy=fields("type", type={"const": "Recreate"}),
        selector=fields("matchLabels", matchLabels=_LABELS),
        template=fields(
            "metadata spec",
            metadata=fields("labels", labels=_LABELS),
            spec=fields(
                "containers",
                terminationGracePeriodSeconds=_COUNT,
                containers=rows(
                    fields(
                        "name image",
                        name=_TEXT,
                        image=_TEXT,
                        ports=rows(fields("containerPort", name=_TEXT, containerPort={"type": "integer"})),
                        readinessProbe=KUBERNETES_PROBE,
                        livenessProbe=KUBERNETES_PROBE,
                    )
                ),
            ),
        ),
    ),
)
GATEWAY = MANIFEST["spec"]["template"]["spec"]["containers"][0]


def asks(command: List[str]) -> Any:
    """The probe's options out of a command of the page."""
    assert command[:2] == ["python3", INSTALLED]
    return options(command[2:])


def seconds(text: str) -> int:
    """A time of the page in seconds."""
    return int(text.removesuffix("s"))


def test_the_compose_file_has_fields_that_exist_and_services_that_it_names() -> None:
    jsonschema.validate(
        COMPOSE, fields("services", services={"type": "object", "additionalProperties": COMPOSE_SERVICE})
    )
    services = COMPOSE["services"]
    named = {name for each in services.values() for name in each.get("depends_on", {})}
    named |= {each["network_mode"].split(":")[1] for each in services.values() if "network_mode" in each}
    assert named <= set(services)
    # Only a service with a health check can be waited for.
    assert all("healthcheck" in services[name] for each in services.values() for name in each.get("depends_on", {}))


def test_the_compose_file_asks_the_probe_that_it_mounts() -> None:
    probe = COMPOSE["services"]["probe"]
    assert probe["volumes"] == ["./%s:%s:ro" % (PROBE.name, INSTALLED)]
    first, *command = probe["healthcheck"]["test"]
    assert first == "CMD" and asks(command).purpose == "healthcheck"
    assert seconds(probe["healthcheck"]["timeout"]) > asks(command).timeout


def test_the_manifest_has_fields_that_exist_and_selects_its_own_pods() -> None:
    jsonschema.validate(MANIFEST, DEPLOYMENT)
    assert MANIFEST["spec"]["selector"]["matchLabels"] == MANIFEST["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize("purpose", ["readiness", "liveness"])
def test_the_manifest_asks_each_of_its_probes_for_what_it_is(purpose: str) -> None:
    probe = GATEWAY[purpose + "Probe"]
    chosen = asks(probe["exec"]["command"])
    assert chosen.purpose == purpose and chosen.port == GATEWAY["ports"][0]["containerPort"]
    assert chosen.timeout < probe["timeoutSeconds"] < probe["periodSeconds"]


def test_liveness_has_to_fail_for_half_an_hour_and_no_startup_probe_gives_up_on_a_login() -> None:
    liveness = GATEWAY["livenessProbe"]
    assert liveness["failureThreshold"] * liveness["periodSeconds"] >= 30 * 60
    assert "startupProbe" not in GATEWAY


def test_the_dockerfile_lines_are_two_instructions_with_options_that_exist() -> None:
    copy, check = DOCKERFILE.replace("\\\n", " ").splitlines()
    assert copy.split() == ["COPY", PROBE.name, INSTALLED]
    flags, command = check.split("CMD")
    given = dict(each.removeprefix("--").split("=") for each in shlex.split(flags)[1:])
    assert set(given) <= {"interval", "timeout", "start-period", "start-interval", "retries"}
    chosen = asks(json.loads(command))
    assert chosen.purpose == "healthcheck" and chosen.timeout < seconds(given["timeout"])


def test_the_page_s_tables_name_every_option_and_every_purpose() -> None:
    shown = set(re.findall(r"^\| `(--[a-z-]+)` \|", PAGE, re.MULTILINE))
    known = set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', PROBE.read_text(encoding="utf-8")))
    assert shown == known
    assert set(re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE)) == set(judge.PURPOSES)
