"""The settings: read once, every fault reported together, no secret ever shown.

``Settings`` is the value that the rest of the package receives. ``load_settings`` makes one from the environment, a
``.env`` file and the command line; ``load`` also says where each value came from.
"""

from prethrift_backend.config.combinations import production_faults
from prethrift_backend.config.loading import LoadedSettings, load, load_settings
from prethrift_backend.config.report import describe_settings, render_settings_table
from prethrift_backend.config.schema import SettingPromise, describe_fields
from prethrift_backend.config.settings import Settings

__all__ = [
    "LoadedSettings",
    "SettingPromise",
    "Settings",
    "describe_fields",
    "describe_settings",
    "load",
    "load_settings",
    "production_faults",
    "render_settings_table",
]
