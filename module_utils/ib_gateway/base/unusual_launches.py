"""Gateways without a known main class: other systems' launchers, and its jars under somebody's own class. Pure."""

from __future__ import annotations

import re
from typing import Optional, Sequence

from .host import GatewayKind
from .java_line import JavaLine, config_dir
from .spec import GATEWAY, TWS

_IN_PACKAGE = r"^(?:[a-z_]\w*\.)+[A-Z]\w*$"
#: Jars that TWS and the gateway share, and nobody else has.
_OWN_JAR = r"(?:^|/)(?:jts4launch|twslaunch|twslaunch-install4j)-[\w.-]+\.jar$"
_OWN_FOLDER = r"(?:^|/)(?:ibgateway|IB Gateway[^/]*)(?:/[\w.]+)?/jars/(?:\*|[^/]+\.jar)$"
#: Java's and the installer's own tools, which run on the same class path.
_TOOL_CLASS = r"^(?:com\.install4j|com\.exe4j|sun|jdk|com\.sun)\."
_MAC_APP = r"/(IB Gateway|Trader Workstation)[^/]*\.app/Contents/MacOS/JavaApplicationStub$"
_WINDOWS = {"ibgateway.exe": GATEWAY, "tws.exe": TWS}


def without_java(argv: Sequence[str], exe: Optional[str]) -> Optional[GatewayKind]:
    """The launchers of other systems load the JVM into themselves, so that only their path tells what they are."""
    for path in (argv[0] if argv else "", exe or ""):
        app = re.search(_MAC_APP, path)
        if app:
            return GatewayKind(GATEWAY if app.group(1) == "IB Gateway" else TWS, "native", "")
        product = _WINDOWS.get(path.replace("\\", "/").rpartition("/")[2].lower())
        if product and "\\" in path:
            return GatewayKind(product, "native", "")
    return None


def own_main_class(line: JavaLine, name: str) -> Optional[GatewayKind]:
    """A JVM with the gateway's own jars and somebody's main class, which may run the gateway within itself."""
    paths = [path.replace("\\", "/") for path in line.class_path()]
    if re.match(_TOOL_CLASS, name) or not any(
        re.search(_OWN_JAR, path) or re.search(_OWN_FOLDER, path) for path in paths
    ):
        return None
    # A word in the class's place may be an unknown option's value, and so a secret; in a package it is a class.
    shown = name[:80] if re.match(_IN_PACKAGE, name) else ""
    product = GATEWAY if any(re.search("ibgateway|IB Gateway", path) for path in paths) else TWS
    return GatewayKind(
        product=product,
        launcher=None,
        main_class=shown,
        config_dir=config_dir(line, None),
        unsupported="its main class%s is not one of TWS, the gateway or a known launcher" % (shown and " " + shown),
    )
