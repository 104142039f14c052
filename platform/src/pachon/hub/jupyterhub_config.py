"""The file JupyterHub loads: settings from the environment, then the operator's own configuration files."""

from __future__ import annotations

from traitlets.log import get_logger

from pachon.app.settings import Settings
from pachon.core import failpoints
from pachon.hub.config import KUBERNETES, NO_ISOLATION, configure

_settings = Settings()
configure(get_config(), _settings)  # type: ignore[name-defined]  # noqa: F821 -- JupyterHub puts it there
if _settings.labs.spawner != KUBERNETES:
    get_logger().warning(NO_ISOLATION)
if _settings.failpoint:
    failpoints.arm(_settings.failpoint)
for _path in _settings.hub.config_files:
    load_subconfig(str(_path.resolve()))  # type: ignore[name-defined]  # noqa: F821 -- JupyterHub puts it there
