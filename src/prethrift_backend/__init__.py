"""Prethrift: a search backend for second-hand clothes whose observability is a tested contract.

The package is built in layers. Each imports only what stands before it in this list, and import-linter holds it so:

- ``exceptions``: the errors that callers see, and what kind each is (expected, operational, configuration).
- ``config``: the settings, read once from the environment, all faults reported together.
- ``contracts``: the promises of ``contracts/`` as a model: what the process says of itself.
- ``observability``: logs, traces, metrics and error events; one ASGI layer around any application.
- ``health``, ``stores``, ``embeddings``: three neighbours that do not know one another.
- ``catalogue``: items and their pictures: taken in, shown, removed.
- ``search``: text and picture search over the catalogue.
- ``api``: HTTP: routes, and how an error becomes a problem document.
- ``main``: the one place where everything is put together.
- ``server``: uvicorn around the application, with one worker or several.
- ``verify``: the contracts held against files, code, rules, dashboards and a running process.
- ``devstack``: the embedded database, S3 and sample catalogue of a developer's machine.
- ``probe``: one look at a running server from outside; it imports nothing of the others.
- ``cli``: the command ``prethrift-backend``. Beside it ``pytest_plugin``: fixtures for other people's tests.

Importing the package does nothing.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("prethrift-backend")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0"
