"""What the models' process is given and how it is restarted; the process itself is in tests/integration."""

import subprocess
import sys

import pytest

from prethrift_backend.embeddings import ModelEmbeddings, ModelState, RestartPolicy
from prethrift_backend.embeddings.process import child_environment
from prethrift_backend.exceptions import ModelsNotReadyError


def test_no_secret_reaches_the_models_process() -> None:
    """Our secrets and AWS's are withheld; what the hub and the loader need is passed on."""
    environ = {"DATABASE_URL": "x", "SENTRY_DSN": "x", "AWS_SECRET_ACCESS_KEY": "x", "HF_HOME": "/m", "PATH": "/bin"}

    assert child_environment(environ) == {"HF_HOME": "/m", "PATH": "/bin"}


def test_restarts_slow_down_to_a_bound() -> None:
    """Each start in a row waits twice as long as the one before, up to the longest wait."""
    policy = RestartPolicy(first_delay_seconds=0.5, longest_delay_seconds=3.0)

    assert [policy.delay_seconds(ends) for ends in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert policy.delay_seconds(10_000) == 3.0


async def test_nothing_is_embedded_before_the_start() -> None:
    """Without a start the call is refused and says how far the models are."""
    embeddings = ModelEmbeddings(clip_model="c", text_model="t")

    assert embeddings.state is ModelState.NOT_LOADED
    with pytest.raises(ModelsNotReadyError, match="not_loaded"):
        await embeddings.embed_query("dress")


def test_the_backend_imports_no_model_library() -> None:
    """Importing the package, as the server does, brings in neither torch nor sentence-transformers."""
    code = (
        "import sys, prethrift_backend.embeddings; print(sorted({'torch', 'sentence_transformers'} & set(sys.modules)))"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"
