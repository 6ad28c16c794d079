"""`contracts lint` as a process: on this package, on the foreign shop, and on changed copies of this package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SHOP = "tests/support/foreign_shop/contracts"
SHOP_APP = "tests.support.foreign_shop.app:app"
# What a lint has no use for, and takes longer to load than all of the rest.
HEAVY = {"torch", "transformers", "sentence_transformers", "jsonschema", "referencing", "alembic", "pytest", "sklearn"}
_SAY_MODULES = (
    "import atexit, sys; from prethrift_backend.cli import main\n"
    "atexit.register(lambda: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr))\n"
    "main(['contracts', 'lint', '--report', 'json'])"
)


def _run(
    *command: str, folder: Path = ROOT, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _lint(*arguments: str, folder: Path = ROOT, environ: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    command = ("-m", "prethrift_backend.cli", "contracts", "lint", "--report", "json", *arguments)
    done = _run(*command, folder=folder, environ=environ)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def _found(document: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(finding["rule"], finding["name"]) for finding in document["findings"]}


def test_this_package_keeps_its_contracts() -> None:
    """Nothing is found, nothing is left unlooked at, and nothing heavy is loaded for it."""
    done = _run("-c", _SAY_MODULES)
    document = json.loads(done.stdout)

    assert [finding["message"] for finding in document["findings"]] == []
    assert done.returncode == 0
    assert [item for item in document["items"] if item["state"] != "passed"] == []
    assert len(document["items"]) > 150
    assert HEAVY & set(done.stderr.split()) == set()


def test_the_environment_of_whoever_checks_changes_nothing() -> None:
    """Settings that would not let the backend start are not read."""
    status, _ = _lint("--no-app", environ={"PORT": "none"})
    with_app, document = _lint(environ={"PORT": "none", "ENVIRONMENT": "production", "LOG_LEVEL": "loud"})

    assert (status, with_app, document["findings"]) == (0, 0, [])


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("", set()),
        ("renamed", {("V006", "shop_orders_total"), ("V006", "shop_order_total")}),
    ],
)
def test_a_foreign_application_is_held_to_its_own_contracts(fault: str, found: set[tuple[str, str]]) -> None:
    """The shop passes, and where it has renamed a family both names are found."""
    status, document = _lint("--contracts", SHOP, "--app", SHOP_APP, environ={"SHOP_FAULT": fault})

    assert _found(document) == found
    assert status == bool(found)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the source and the contracts of this package, to be changed."""
    folder = tmp_path_factory.mktemp("tree")
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", folder / "src", ignore=ignore)
    shutil.copytree(ROOT / "contracts", folder / "contracts")
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        (
            "src/prethrift_backend/observability/_names.py",
            '"db_pool_timeouts_total"',
            '"db_pool_time_outs_total"',
            {("V006", "db_pool_timeouts_total"), ("V006", "db_pool_time_outs_total")},
        ),
        (
            "src/prethrift_backend/observability/_request_metrics.py",
            "method=method, endpoint=endpoint, status_code=str(status)",
            "method=method, endpoint=endpoint",
            {("CD003", "http_requests_total")},
        ),
        (
            "src/prethrift_backend/catalogue/service.py",
            '"item_deleted", item_id=str(item_id)',
            '"item_deleted", item_id=str(item_id), password=str(item_id)',
            {("CD008", "item_deleted"), ("CD010", "item_deleted")},
        ),
        (
            "src/prethrift_backend/catalogue/pictures.py",
            '"picture.bytes"',
            '"picture.size"',
            {("CD012", "picture")},
        ),
        (
            "src/prethrift_backend/api/health.py",
            '"/health/ready"',
            '"/health/readiness"',
            {("V006", "/health/ready")},
        ),
        (
            "src/prethrift_backend/config/settings.py",
            '_observability("INFO", "the lowest',
            '_observability("DEBUG", "the lowest',
            {("CD013", "LOG_LEVEL")},
        ),
    ],
)
def test_one_change_of_the_code_is_found(
    tree: Path, file: str, old: str, new: str, found: set[tuple[str, str]]
) -> None:
    """A family renamed, a label dropped, a secret in a field, an attribute, a path or a default changed."""
    path = tree / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    try:
        status, document = _lint(folder=tree, environ={"PYTHONPATH": str(tree / "src")})
    finally:
        path.write_text(text, encoding="utf-8")

    assert status == 1
    assert found <= _found(document)
