"""Making an application for a check, without opening anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from prethrift_backend.config import Settings
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.verify.application import Application, ApplicationError, load_application

SHOP = "tests.support.foreign_shop.app:app"


class _Notes:
    """An observer that keeps what it is shown."""

    def __init__(self) -> None:
        self.metrics: list[MetricSet] = []
        self.lines: list[bytes] = []

    def configured(self, metrics: MetricSet) -> None:
        self.metrics.append(metrics)

    def line(self, line: bytes) -> None:
        self.lines.append(line)

    def span(self, span: object) -> None:
        raise AssertionError(span)


@pytest.fixture
def own() -> Iterator[Application]:
    """Make the application of this package, and close it at the end."""
    application = load_application()
    yield application
    application.close()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a module `little_app` of the working folder, to be written, and forget it at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path / "little_app.py"
    sys.modules.pop("little_app", None)


def test_the_own_application_is_described_whole(own: Application) -> None:
    """Registry, routes, settings and source are those of this package."""
    assert own.metrics is not None
    assert own.registry is own.metrics.registry
    assert {"/health/ready", "/metrics", "/api/items/{item_id}"} <= set(own.routes)
    assert own.settings == tuple(name.upper() for name in Settings.model_fields)
    assert own.source_folder is not None
    assert (own.source_folder / "main.py").is_file()


def test_the_own_application_reads_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting of whoever checks, even a wrong one, changes nothing."""
    monkeypatch.setenv("PORT", "no port")
    monkeypatch.setenv("SERVICE_NAME", "another")
    application = load_application()
    application.close()

    assert application.telemetry is not None
    assert application.telemetry.settings.service_name == "prethrift-backend"


@pytest.mark.contract_unobserved("its line is made up")
def test_an_observer_is_shown_the_metrics_and_lines_of_the_application() -> None:
    """Whatever the application logs until it is closed comes to the observer."""
    notes = _Notes()
    application = load_application(observer=notes)
    assert application.telemetry is not None
    application.telemetry.logger("x").debug("service_ready")
    application.close()

    assert notes.metrics == [application.metrics]
    assert len(notes.lines) == 1


def test_the_own_application_may_be_named() -> None:
    """Contracts of another folder can be held against it."""
    application = load_application("prethrift_backend.main:build")
    application.close()

    assert application.is_own


def test_a_foreign_application_shows_the_registry_of_its_endpoint() -> None:
    """The registry is found in the application that is mounted for it, not the global one."""
    shop = load_application(SHOP)

    assert shop.registry is sys.modules[SHOP.partition(":")[0]].registry
    assert shop.metrics is None
    assert {"/stats/", "/livez", "/readyz", "/healthz"} <= set(shop.routes)


def test_a_function_that_makes_an_application_is_called(module: Path) -> None:
    """A factory is as good as an application; without a registry of its own it has the global one."""
    module.write_text("async def app(scope, receive, send): ...\ndef make():\n    return app\n")

    assert load_application("little_app:make").app is load_application("little_app:app").app
    assert load_application("little_app:make").registry is REGISTRY


def test_of_a_module_in_no_package_only_what_it_imports_is_its_source(module: Path) -> None:
    """Other files of its folder are somebody else's."""
    module.write_text("import little_words\nasync def app(scope, receive, send): ...\n")
    (module.parent / "little_words.py").write_text("")
    (module.parent / "strange.py").write_text("")

    assert set(load_application("little_app:app").source_files) == {"little_app", "little_words"}
    sys.modules.pop("little_words")


def test_a_class_of_settings_is_found_in_the_package(module: Path) -> None:
    """The names are those of the environment, the prefix of the class included."""
    module.write_text(
        "from pydantic_settings import BaseSettings\n"
        "class Settings(BaseSettings, env_prefix='SHOP_'):\n    port: int = 1\n"
        "async def app(scope, receive, send): ...\n"
    )

    assert load_application("little_app:app").settings == ("SHOP_PORT",)


@pytest.mark.parametrize(
    ("text", "reference", "words"),
    [
        ("", "little_app", "names no attribute"),
        ("", "little_app:app", "has no 'app'"),
        ("def app(settings): ...", "little_app:app", "takes no scope"),
        ("def app():\n    return lambda: None", "little_app:app", "takes no scope"),
        ("app = 3", "little_app:app", "of type 'int'"),
        ("import nowhere_to_be_found", "little_app:app", "cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit(3)", "little_app:app", "cannot be imported: SystemExit"),
        ("def app():\n    raise OSError('no disk')", "little_app:app", "cannot be made: OSError: no disk"),
        ("def __getattr__(name):\n    raise OSError('no disk')", "little_app:app", "cannot be made: OSError: no disk"),
    ],
)
def test_what_cannot_be_made_is_one_clear_error(module: Path, text: str, reference: str, words: str) -> None:
    """The error names the reference and what failed, whatever the application raises."""
    module.write_text(text)

    with pytest.raises(ApplicationError, match=words) as caught:
        load_application(reference)
    assert repr(reference) in str(caught.value)


def test_an_error_hides_the_secret_that_it_quotes(module: Path) -> None:
    """The address of a database in the text of an error loses its password."""
    module.write_text("raise OSError('postgresql://me:hunter22@db/shop is away')")

    with pytest.raises(ApplicationError) as caught:
        load_application("little_app:app")
    assert "hunter22" not in str(caught.value)
