"""Documentation that several modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """Options and attributes that read the same everywhere."""

    ATTRIBUTES = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and predict the outcome without changing the host.
    support: full
  diff_mode:
    description: Returns what changes, or would change, in diff mode.
    support: none
  platform:
    description: The systems it works on.
    platforms: posix
    support: full
"""

    GATEWAYS = r"""
options:
  gateways:
    description:
      - The gateways that should run on this host, as the inventory declares them.
      - A process belongs to an entry when O(gateways[].user) and O(gateways[].config_dir) fit, and where these do not
        tell, by the trading mode in its command line and by the port it listens on.
    type: list
    elements: dict
    suboptions:
      name:
        description: A name that is unique on the host.
        type: str
        required: true
      trading_mode:
        description: Whether the gateway trades real money.
        type: str
        required: true
        choices: [live, paper]
      port:
        description: The API port it must listen on. Without it V(4001) for live and V(4002) for paper.
        type: int
      user:
        description: The account that must own the gateway. Any account when left out.
        type: str
      config_dir:
        description:
          - Its settings directory, an absolute path.
          - Matches C(-DjtsConfigDir=) or the working directory of the process. Any directory when left out.
        type: str
      service:
        description: The systemd unit that starts it.
        type: str
      start_command:
        description:
          - The argument list that starts it on hosts without a unit.
          - Never logged and never returned, because it may carry a password.
        type: list
        elements: str
      start_timeout:
        description: How many seconds a start may take until the port listens.
        type: int
        default: 120
      max_api_clients:
        description: How many API connections may be open at once. Beyond it they compete.
        type: int
        default: 1
      client_patterns:
        description:
          - Regular expressions on a script's command line that mark it a competing client even when not connected.
          - For other programs than script interpreters only the program itself counts, so that an editor that has
            the script open is no client.
        type: list
        elements: str
        default: []
      protected_clients:
        description: Regular expressions on a command line. A process that matches one is never stopped.
        type: list
        elements: str
        default: []
      remediation:
        description: V(auto) lets a repair act. V(plan_only) shows what would be done and touches nothing.
        type: str
        default: auto
        choices: [auto, plan_only]
      allow_kill:
        description: Whether a process of this entry that does not end in its grace period may be killed.
        type: bool
        default: false
      allow_restart_with_clients:
        description:
          - Whether the gateway may be restarted although clients work on it.
          - A client that O(gateways[].protected_clients) names keeps it from that all the same.
        type: bool
        default: false
"""

    AUTHORIZATION = r"""
options:
  authorization:
    description:
      - What the controller allows this run to do on this host, and in whose name.
      - With it, each act is checked against the plan, the host's pause file, the limits and what earlier runs have
        left, and written to the host's journal before it is done and after.
      - Without it nothing is checked but the identity of what is acted on, and nothing is journalled.
    type: dict
    aliases: [warrant]
    suboptions:
      run:
        description: A text that is this run's own, the same for all its modules, such as a UUID.
        type: str
        required: true
      by:
        description: Who runs it, as people on this host will read it.
        type: str
        required: true
      state_dir:
        description:
          - The folder on the host that holds lease, journal and pause file.
          - Empty for C(/var/lib/ib-gateway-repair) as root, C(~/.local/state/ib-gateway-repair) as another account.
        type: str
        default: ''
      blocked_reason:
        description: Why nothing may be done at all just now. Empty when there is no such reason.
        type: str
        default: ''
        aliases: [forbidden]
      max_age:
        description: How many seconds a plan may be old when it is acted on.
        type: float
        default: 60.0
      plans:
        description: What the run's plans were made from, one for each gateway that may be acted on.
        type: list
        elements: dict
        default: []
        suboptions:
          gateway:
            description: The entry's name.
            type: str
            required: true
          digest:
            description: The digest of the evidence, as M(ib_gateway_health) returns it. It must still hold.
            type: str
            required: true
          boot_id:
            description: The boot in which the plan was made.
            type: str
            required: true
          made_at:
            description: When it was made, in seconds of that boot (CLOCK_BOOTTIME).
            type: float
            required: true
      limits:
        description: How often a gateway may be repaired.
        type: dict
        suboptions:
          repairs_per_hour:
            description: In how many runs within an hour a gateway may be acted on.
            type: int
            default: 3
          restarts_per_hour:
            description: How many times within an hour a gateway may be restarted. Once in each run at most.
            type: int
            default: 2
          backoff:
            description: How many seconds the next repair waits after the last one. Doubled by each within the hour.
            type: float
            default: 60.0
"""

    STEPS = r"""
options:
  steps:
    description:
      - Steps of a plan, as M(ib_gateway_health) returns them. The module takes those of its own actions only.
      - Each is a dictionary of the shape below. What its target has to have depends on the action.
    type: list
    elements: dict
    suboptions:
      action:
        description: The action. May be left out where the module does only one.
        type: str
      gateway:
        description: The name of the entry.
        type: str
        required: true
      target:
        description: Whom the step means, exactly. All of it is proven again before anything is done.
        type: dict
        required: true
      reason:
        description: Why the step was planned. For people.
        type: str
        default: ''
      disruption:
        description: What the step costs. For people.
        type: str
        default: ''
      finding:
        description: The code of the finding that it is for.
        type: str
        default: ''
      only_if_persists:
        description: Whether it is for the case that the steps before it do not help.
        type: bool
        default: false
"""

    THEN_LOOK = r"""
options:
  then_look:
    description:
      - How to look at the host when the module is done, in the same call. RV(health) is what came of it.
      - Options as M(ib_gateway_health) has them. Without it nothing is looked at afterwards. Needs O(gateways).
      - What was started is first waited for, until it listens or its O(gateways[].start_timeout) is over.
    type: dict
    suboptions:
      probe:
        description: Whether to open an API session.
        type: str
        choices: [auto, always, never]
        default: auto
      probe_timeout:
        description: Seconds for each session.
        type: float
        default: 5.0
      reset_window:
        description: The broker's reset window that this moment lies in, in words. Empty outside of any.
        type: str
        default: ''
      known_served:
        description: Gateways that an earlier look of the same run has seen serve.
        type: list
        elements: dict
        default: []
        suboptions:
          pid:
            description: Process id.
            type: int
            required: true
          started_ticks:
            description: Its start in clock ticks after boot.
            type: int
            required: true
"""
