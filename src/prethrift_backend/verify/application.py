"""An application made for a check: this package's own, or anybody's, by ``module:attribute``.

Nothing is opened: an application is made, and its lifespan is not run. This package's own gets made-up settings, so
that neither the environment nor a ``.env`` file of whoever checks is read.
"""

from __future__ import annotations

import importlib
import inspect
import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import REGISTRY, CollectorRegistry
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from prethrift_backend import main
from prethrift_backend.config import Settings
from prethrift_backend.exceptions import ContractError
from prethrift_backend.observability import Instrumented, Telemetry, configure, redact_text
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.observability.observing import Observer, observed_by
from prethrift_backend.verify.application_routes import Endpoint, endpoints_of, wrapped_in

if TYPE_CHECKING:
    from prethrift_backend.observability.asgi import ASGIApp

OWN_REFERENCE: Final = "prethrift_backend.main:build"

# Nobody listens there, and nobody asks: the pool connects when a statement is to be run.
_NO_DATABASE: Final = SecretStr("postgresql://nobody:nothing@127.0.0.1:9/none")
# Nor there: what runs the lifespan must not ask the real one.
_NO_STORE: Final = "http://127.0.0.1:9"
_TEXT_SHOWN: Final = 300


class ApplicationError(ContractError):
    """The application cannot be imported or made; the text names the reference, what failed and the fix."""


@dataclass(frozen=True, slots=True)
class Application:
    """An application, and what can be read of it without running it.

    ``registry`` is that of the telemetry around it, of the endpoint that shows it, of its module, or else the global
    one. ``endpoints`` are its routes, empty where it keeps none that can be read. ``settings_model`` is the class of
    its settings, where it is known. ``package`` is the top package, whose source can be read in ``source_folder``;
    ``source_files`` are its modules instead where it is no package, and lives in a folder among other things.
    """

    reference: str
    app: ASGIApp
    registry: CollectorRegistry
    _: KW_ONLY
    metrics: MetricSet | None = None
    endpoints: tuple[Endpoint, ...] = ()
    settings_model: type[BaseSettings] | None = None
    package: str = ""
    source_folder: Path | None = None
    source_files: Mapping[str, Path] = field(default_factory=dict)
    telemetry: Telemetry | None = field(default=None, repr=False)

    @property
    def is_own(self) -> bool:
        """Whether it is this package's own application."""
        return self.reference == OWN_REFERENCE

    @property
    def routes(self) -> tuple[str, ...]:
        """The templates of the routes, each once."""
        return tuple(dict.fromkeys(endpoint.template for endpoint in self.endpoints))

    @property
    def settings(self) -> tuple[str, ...] | None:
        """The names that its settings have in the environment; None where no class of settings is known."""
        if self.settings_model is None:
            return None
        prefix = str(self.settings_model.model_config.get("env_prefix") or "")
        return tuple(f"{prefix}{name}".upper() for name in self.settings_model.model_fields)

    def close(self) -> None:
        """Give back what making it has made; the telemetry of somebody else's application is not ours to close."""
        if self.is_own and self.telemetry is not None:
            self.telemetry.close()


def load_application(reference: str | None = None, *, observer: Observer | None = None) -> Application:
    """Make the application that ``reference`` names, or this package's own.

    ``reference`` is "module:attribute", looked for in the working folder too; the attribute is an ASGI application, or
    a function without arguments that makes one. ``observer`` is shown what the telemetries say that are configured
    while it is made, for as long as they live.

    Raises ApplicationError where it cannot be imported or made.
    """
    watched: AbstractContextManager[None] = nullcontext() if observer is None else observed_by(observer)
    with watched:
        return _own() if reference in (None, OWN_REFERENCE) else _foreign(reference)


def _own() -> Application:
    settings = Settings(
        database_url=_NO_DATABASE,
        aws_endpoint_url_s3=_NO_STORE,
        environment="development",
        log_level="DEBUG",
        log_format="json",
        trace_sample_rate=1.0,
        otlp_metrics_interval_seconds=0.0,
    )
    telemetry = configure(settings, log_stream=io.StringIO())
    try:
        app = main.build(settings, overrides=main.Overrides(telemetry=telemetry))
    except Exception as error:
        telemetry.close()
        fix = "run 'prethrift-backend serve' to see where it comes from, and mend that"
        raise ApplicationError(_text(f"application {OWN_REFERENCE!r} cannot be made", error, fix)) from error
    return _described(OWN_REFERENCE, app, sys.modules[main.__name__])


def _foreign(reference: str) -> Application:
    module_name, colon, attribute = reference.partition(":")
    if not module_name or not colon or not attribute:
        raise ApplicationError(
            f"application {reference!r} names no attribute of a module: it is module:attribute; write something like "
            f"'shop.main:app'"
        )
    module = _imported(reference, module_name)
    return _described(reference, _made(reference, _attribute(reference, module, attribute)), module)


def _imported(reference: str, name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:  # a program that was installed does not look where it is called
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        fix = f"import {name!r} in the environment of this program, from its folder, and mend what fails"
        raise ApplicationError(_text(f"application {reference!r} cannot be imported", error, fix)) from error


def _attribute(reference: str, module: ModuleType, path: str) -> object:
    found: object = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise ApplicationError(
                f"application {reference!r}: {module.__name__!r} has no {path!r}: the attribute is an ASGI application "
                f"or a function that makes one; correct the name"
            ) from error
        except (Exception, SystemExit) as error:
            fix = "mend what makes it, or name a function without arguments that makes one"
            raise ApplicationError(_text(f"application {reference!r} cannot be made", error, fix)) from error
    return found


def _made(reference: str, found: object) -> ASGIApp:
    app: Any = found
    if callable(app) and _takes(app, 0):
        try:
            app = app()
        except (Exception, SystemExit) as error:
            fix = "mend the function, or name another"
            raise ApplicationError(_text(f"application {reference!r} cannot be made", error, fix)) from error
    if not callable(app) or not _takes(app, 3):
        raise ApplicationError(
            f"application {reference!r} is of type {type(app).__name__!r} and takes no scope, receive and send: it is "
            f"an ASGI application or a function without arguments that makes one; name another attribute"
        )
    made: ASGIApp = app
    return made


def _takes(function: Any, count: int) -> bool:
    """Say whether a function can be called with so many arguments; one that does not tell may be an application."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return count > 0
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def _text(what: str, error: BaseException, fix: str) -> str:
    # The text of an error may hold what it failed at, an address with a password for one.
    reason = redact_text(str(error)).partition("\n")[0][:_TEXT_SHOWN]
    return f"{what}: {type(error).__name__}{f': {reason}' if reason else ''}; {fix}"


def _described(reference: str, app: ASGIApp, module: ModuleType) -> Application:
    telemetry = _telemetry_of(app)
    endpoints = endpoints_of(app)
    return Application(
        reference,
        app,
        _registry(telemetry, endpoints, module),
        metrics=None if telemetry is None else telemetry.metrics,
        endpoints=endpoints,
        settings_model=_settings_model(telemetry, _package(module)),
        package=_package(module),
        source_folder=_source_folder(module),
        source_files=_source_files(module),
        telemetry=telemetry,
    )


def _telemetry_of(app: object) -> Telemetry | None:
    found = next((layer for layer in wrapped_in(app) if isinstance(layer, Instrumented)), None)
    return None if found is None else found._prethrift_telemetry


# The registry.


def _registry(telemetry: Telemetry | None, endpoints: tuple[Endpoint, ...], module: ModuleType) -> CollectorRegistry:
    if telemetry is not None:
        return telemetry.metrics.registry
    shown = [registry for endpoint in endpoints for registry in _registries_in(endpoint.answer)]
    named = [value for value in vars(module).values() if isinstance(value, CollectorRegistry)]
    return next(iter([*shown, *named]), REGISTRY)


def _registries_in(answer: object) -> Iterator[CollectorRegistry]:
    """Yield the registries that an endpoint holds: as an attribute, or in the closure of its function."""
    attributes = list(getattr(answer, "__dict__", {}).values())
    cells = [cell.cell_contents for cell in getattr(answer, "__closure__", None) or () if _is_filled(cell)]
    yield from (value for value in (*attributes, *cells) if isinstance(value, CollectorRegistry))


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises
    except ValueError:
        return False
    return True


# The source and the settings.


def _package(module: ModuleType) -> str:
    """Return the name of the package whose source is the application's: a top package that is one, else the module.

    A top package may be a namespace of many things ("tests"): it has no file; then the module's own package counts.
    """
    top = module.__name__.partition(".")[0]
    if getattr(sys.modules.get(top), "__file__", None) is not None:
        return top
    own = module.__package__ or module.__name__
    return own if own != top else module.__name__


def _source_folder(module: ModuleType) -> Path | None:
    package = sys.modules.get(_package(module), module)
    file = getattr(package, "__file__", None) or module.__file__
    return None if file is None else Path(file).parent


def _source_files(module: ModuleType) -> dict[str, Path]:
    """Return the modules beside one that is in no package, as far as they are loaded; nothing where it is in one.

    The folder of such a module may hold anything, an environment of Python for one: only what is imported counts.
    """
    folder = None if module.__file__ is None else Path(module.__file__).parent
    if folder is None or hasattr(sys.modules.get(_package(module)), "__path__"):
        return {}
    files = {name: getattr(loaded, "__file__", None) for name, loaded in sys.modules.copy().items()}
    paths = {name: Path(file) for name, file in sorted(files.items()) if isinstance(file, str)}
    return {name: path for name, path in paths.items() if path.parent == folder and path.suffix == ".py"}


def _settings_model(telemetry: Telemetry | None, package: str) -> type[BaseSettings] | None:
    """Return the one class of settings that the package's modules define; the telemetry's where there is none."""
    modules = [module for name, module in sorted(sys.modules.items()) if f"{name}.".startswith(f"{package}.")]
    found = {
        value: None
        for module in modules
        for value in list(vars(module).values())
        if isinstance(value, type) and issubclass(value, BaseSettings) and value.__module__ == module.__name__
    }
    if len(found) == 1:
        return next(iter(found))
    return type(telemetry.settings) if telemetry is not None and not found else None
