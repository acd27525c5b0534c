"""What every part uses."""

from __future__ import annotations

import logging
import os
from typing import Union

log = logging.getLogger("ib_connect")
PathName = Union[str, "os.PathLike[str]"]
