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
"""
