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

# Only now: the SDKs look at the environment when they are imported.
from azure.identity import ClientSecretCredential, ManagedIdentityCredential  # noqa: E402
from azure.keyvault.keys import KeyClient  # noqa: E402
from azure.keyvault.secrets import SecretClient  # noqa: E402


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


@pytest.fixture(scope="session")
def secret_credential(ready):
    told = ready["credentials"]
    secret = pathlib.Path(told["client_secret_file"]).read_text().strip()
    return ClientSecretCredential(told["tenant_id"], told["client_id"], secret)


@pytest.fixture(scope="session", params=["client secret", "managed identity"])
def credential(request, secret_credential):
    """Both ways to a token; the machine's goes to 169.254.169.254 through HTTP_PROXY."""
    return secret_credential if request.param == "client secret" else ManagedIdentityCredential()


@pytest.fixture
def keys(vault_url, credential):
    with KeyClient(vault_url, credential) as client:
        yield client


@pytest.fixture
def one(vault_url, secret_credential):
    """For what does not depend on the credential."""
    with KeyClient(vault_url, secret_credential) as client:
        yield client


@pytest.fixture
def secrets(vault_url, secret_credential):
    with SecretClient(vault_url, secret_credential) as client:
        yield client
