"""The environment of a child process: this one's, with the settings as they were understood here."""

import os
from collections.abc import Mapping

from gateway.settings import Settings

__all__ = ["child_environment"]

_SECRET = "admin_key"  # only 'braid up' itself needs it


def child_environment(settings: Settings, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Say every setting in `BRAID_…` variables, so that flags, files and defaults come out the same in the child."""
    source = os.environ if inherited is None else inherited
    environment = {name: value for name, value in source.items() if not name.startswith("BRAID_")}
    environment["BRAID_CONFIG"] = os.devnull  # the file has been read already
    shown = settings.model_copy(update={"home": settings.home.resolve()})
    for name in Settings.model_fields:
        value = getattr(shown, name)
        if name == _SECRET or value in (None, "", ()):
            continue
        environment[f"BRAID_{name.upper()}"] = str(value)
    if settings.engine_urls:
        environment["BRAID_ENGINE_URLS"] = ",".join(settings.engine_urls)
    return environment
