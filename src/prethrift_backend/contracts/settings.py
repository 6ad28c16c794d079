"""The settings contract as frozen values: what is read from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from prethrift_backend.exceptions import ContractError

SettingType = Literal["bool", "int", "float", "str", "path", "enum"]
UNSET = "unset"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as its users may count on it.

    ``values`` are those of an enum. ``defaults`` has one text, or one for each environment as ``development:text``;
    ``unset`` is no value, ``package-version`` the version of the package. ``required_in`` names the environments in
    which the process does not start without it.
    """

    name: str
    type: SettingType
    values: tuple[str, ...] = ()
    defaults: tuple[str, ...] = (UNSET,)
    group: str = ""
    secret: bool = False
    required_in: tuple[str, ...] = ()
    note: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    @property
    def kind(self) -> str:
        """The type as the contract writes it: ``int``, ``enum a|b``."""
        return f"enum {'|'.join(self.values)}" if self.type == "enum" else self.type

    @property
    def required_in_production(self) -> bool:
        """Whether production does not start without it."""
        return "production" in self.required_in

    @property
    def default_by_environment(self) -> Mapping[str, str]:
        """The default of each environment; empty where one default holds for all."""
        if len(self.defaults) == 1 and not self.defaults[0].startswith(PREFIXES):
            return {}
        return {name: value for name, _, value in (one.partition(":") for one in self.defaults)}

    def default(self, environment: str) -> str | None:
        """Return the default in this environment as text, None where it is unset."""
        value = self.default_by_environment.get(environment, self.defaults[0])
        return None if value == UNSET else value


# Only these words before a colon make a default one of an environment: a default may hold a colon.
ENVIRONMENTS = ("development", "staging", "production")
PREFIXES = tuple(f"{name}:" for name in ENVIRONMENTS)


@dataclass(frozen=True, slots=True)
class SettingsContract:
    """Everything that one settings contract promises, in the order of its lines."""

    version: str
    sha256: str
    source: str = field(compare=False)
    settings: tuple[Setting, ...] = ()
    _by_name: Mapping[str, Setting] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {setting.name: setting for setting in reversed(self.settings)})

    def setting(self, name: str) -> Setting:
        """Return the setting of this name.

        Raises ContractError where the contract has none.
        """
        if name in self._by_name:
            return self._by_name[name]
        rule = "a setting is read only where the contract names it"
        raise ContractError(f"setting {name!r} is not in {self.source}: {rule}; add a SETTING line for it there")
