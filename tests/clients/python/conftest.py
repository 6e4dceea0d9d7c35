"""A running stack, as `kyanite env` points Azure's tools to it.

The ready file named by KYANITE_READY_FILE says where the stack is. Its `env` is set before any SDK is imported, and
nothing else is: certificate and challenge checks stay on, and every name is Azure's own.
"""

import json
import os
import pathlib
import uuid

import pytest


def _ready() -> dict:
    path = os.environ.get("KYANITE_READY_FILE")
    if not path:
        pytest.exit("KYANITE_READY_FILE is not set: start a stack with `kyanite up --ready-file FILE`", returncode=3)
    return json.loads(pathlib.Path(path).read_text())


READY = _ready()
os.environ.update(READY["env"])


@pytest.fixture(scope="session")
def ready() -> dict:
    return READY


@pytest.fixture(scope="session")
def vault_url(ready) -> str:
    return f"https://{ready['vaults'][0]['name']}.vault.azure.net"


@pytest.fixture
def name() -> str:
    """A name that no other test uses, so that a stack can be tested twice."""
    return f"py-{uuid.uuid4().hex[:12]}"
