"""What a gateway's argv, folder and files look like, by the way it was launched."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence

from .options import OPTIONS_FILE

# What must never appear in anything the project prints; IBC puts both into the gateway's argv.
USER_CANARY = "canary-user"
PASSWORD_CANARY = "canary-password"  # noqa: S105 - no secret, it stands where IBC has one

JVM_OPTIONS = [
    "-Xmx768m",
    "-XX:+UseG1GC",
    "-Dtwslaunch.autoupdate.serviceImpl=com.ib.tws.twslaunch.install4j.Install4jAutoUpdateService",
    "-Dchannel=latest",
    "-Dexe4j.isInstall4j=true",
    "-Dinstall4jType=standalone",
]
PLACEHOLDER_DIR = "-DjtsConfigDir=${installer:jtsConfigDir}"
PLACEHOLDER_ARGUMENTS = "${installer:cmdLineArgs}"


@dataclass(frozen=True)
class Shape:
    """`exact` is an argv as Java's own, the simulator's options out of sight; without it gateway.py stands in it."""

    meaning: str
    main_class: str
    ibc: bool = False
    api: bool = True
    exact: bool = True
    fix: bool = False


SHAPES = {
    "native": Shape("a home-made launcher; gateway.py stands in argv", "install4j.ibgateway.GWClient", exact=False),
    "ibc": Shape("IBC; gateway.py stands in argv", "ibcalpha.ibc.IbcGateway", ibc=True, exact=False),
    "installed": Shape("install4j's launcher: placeholders in argv", "install4j.ibgateway.GWClient"),
    "installed-fix": Shape("the same, a FIX gateway: no API port", "install4j.ibgateway.GWClient", api=False, fix=True),
    "installed-tws": Shape("the same, TWS", "install4j.jclient.LoginFrame"),
    "ibc-java": Shape("IBC, argv as Java's own", "ibcalpha.ibc.IbcGateway", ibc=True),
    "ibc-fix": Shape("IBC with a FIX gateway: no API port", "ibcalpha.ibc.IbcGateway", ibc=True, api=False, fix=True),
    "ibc-tws": Shape("IBC with TWS", "ibcalpha.ibc.IbcTws", ibc=True),
}


@dataclass(frozen=True)
class Launch:
    """One launch, with its folders. `mode_word` is how the mode stands in argv, empty for not at all."""

    shape: Shape
    install_dir: Path
    config_dir: Path
    main_class: str
    mode_word: str
    session: str
    jvm_first: Sequence[str] = ()
    jvm_last: Sequence[str] = ()

    def argv(self, options: Sequence[str]) -> List[str]:
        """Everything behind `java`; the simulator's own options go to a file beside the installation."""
        install, shape = self.install_dir, self.shape
        jars = (
            f"{install}/jars/jts4launch-1045.jar:{install}/jars/twslaunch-1045.jar:{install}/.install4j/i4jruntime.jar"
        )
        own = f"{OPTIONS_FILE}{self._options_file(options)}"
        mode = [self.mode_word] if self.mode_word else []
        if shape.ibc:
            folder = [f"-DjtsConfigDir={self.config_dir}", f"-Dibcsessionid={self.session}"]
            jvm = ["-cp", f"{jars}:/opt/ibc/IBC.jar", *self.jvm_first, *JVM_OPTIONS, *folder, *self.jvm_last, own]
            fix = ["canary-fix-user", "canary-fix-password"] if shape.fix else []
            return [*jvm, self.main_class, self.ini_file, *fix, USER_CANARY, PASSWORD_CANARY, *mode]
        leading = [f"-splash:{install}/.install4j/s_1.png", f"-DinstallDir={install}/", *self.jvm_first, *JVM_OPTIONS]
        self._write_answers()
        last = [PLACEHOLDER_DIR, *self.jvm_last, own]
        return ["-classpath", jars, *leading, *last, self.main_class, PLACEHOLDER_ARGUMENTS, *mode]

    def short_argv(self) -> List[str]:
        """The same without what no reader needs, for a `java` that is told to run gateway.py."""
        jvm = [*self.jvm_first, f"-DjtsConfigDir={self.config_dir}", *self.jvm_last]
        mode = [self.mode_word] if self.mode_word else []
        if not self.shape.ibc:
            return [*jvm, self.main_class, *mode]
        session = f"-Dibcsessionid={self.session}"
        return [*jvm, session, self.main_class, self.ini_file, USER_CANARY, PASSWORD_CANARY, *mode]

    @property
    def ini_file(self) -> str:
        """IBC's settings."""
        return str(self.config_dir / "config.ini")

    def _options_file(self, options: Sequence[str]) -> Path:
        # Named after what is in it: the same gateway may run while its start command is prepared with other options.
        text = "\n".join(f"'{option}'" for option in options)
        self.install_dir.mkdir(parents=True, exist_ok=True)
        path = self.install_dir / f"options-{zlib.crc32(text.encode()):08x}.txt"
        path.write_text(text, encoding="utf-8")
        return path

    def _write_answers(self) -> None:
        """install4j's answers of the installation: they have the value of what is a placeholder in argv."""
        folder = self.install_dir / ".install4j"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            f"jtsConfigDir={self.config_dir}",
            f"sys.installationDir={self.install_dir}",
            "installerType=standalone",
        ]
        (folder / "response.varfile").write_text("\n".join(lines) + "\n", encoding="utf-8")
