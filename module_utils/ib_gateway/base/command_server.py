"""IBC's command server as a look finds it, and what a step has to prove of it before it sends a command."""

# Annotations are evaluated here: NamedTuple would compile each one that is only text.
from typing import Any, Dict, Mapping, NamedTuple, Optional

#: Seconds for IBC to answer a command.
ANSWERS_WITHIN = 10.0
#: Seconds from IBC's OK to RESTART until the next gateway process is there. RESTART sets the auto-restart to the next
#: full minute, older IBC to the one after it; 60 to 90 s were seen.
RESTARTS_WITHIN = 180
#: What a restart by command leaves behind, by whether AutoRestartTime is set: see CommandServer.
DAILY_RESTART_MOVES: Mapping[Optional[bool], str] = {
    True: "",
    False: "the gateway keeps %s as the time of its daily restart, because IBC's settings do not set AutoRestartTime",
    None: (
        "the gateway keeps %s as the time of its daily restart, unless IBC's settings set AutoRestartTime: they could "
        "not be read"
    ),
}


class ServerAddress(NamedTuple):
    """Where a gateway's own process listens for commands: address is one of loopback, inode the listener's."""

    port: int
    address: str
    inode: int

    @classmethod
    def named(cls, plan: Mapping[str, Any]) -> "ServerAddress":
        """The one that a step's target names."""
        return cls(plan["port"], plan["address"], plan["inode"])

    def as_target(self) -> Dict[str, Any]:
        """The same in a step's target."""
        return self._asdict()


class CommandServer(NamedTuple):
    """The command server of one gateway. pid: the JVM's, which alone listens on that port.

    loop: whether IBC's own start script carries that JVM, so that RESTART brings the next one with the login kept.
    own_time: whether IBC sets AutoRestartTime at each start, None where its settings could not be read; without it
    RESTART changes the stored time. login_due: whether the broker has ended the login since, so that a new process has
    to log in. route: whether this host has a way out, and nobody leaves the JVM's own connections unanswered.
    """

    pid: int
    where: ServerAddress
    loop: bool = False
    own_time: Optional[bool] = None
    login_due: bool = False
    route: bool = False
