"""Two KMS plugins beside one vault: Kyanite's, and Azure's own, built unmodified by tests/clients/azure-plugin/build.

Environment: KYANITE is the built command, KYANITE_AZURE_PLUGIN Azure's plugin. Both are needed; nothing is skipped.
The gRPC client is generated from the published protocol (crates/kms-api/proto) when the tests start.
"""

import os
import pathlib
import sys

import pytest
from grpc_tools import protoc

HERE = pathlib.Path(__file__).parent
PROTO = HERE.parents[2] / "crates/kms-api/proto"


def _needed(name: str) -> str:
    path = os.environ.get(name)
    if not path or not os.access(path, os.X_OK):
        pytest.exit(f"{name} must name a program, see tests/clients/run", returncode=3)
    return path


KYANITE = _needed("KYANITE")
AZURE = _needed("KYANITE_AZURE_PLUGIN")

_generated = pathlib.Path(os.environ.get("KYANITE_GENERATED") or (HERE.parents[2] / ".kyanite/kms-proto"))
_generated.mkdir(parents=True, exist_ok=True)
_arguments = ["protoc", f"-I{PROTO}", f"--python_out={_generated}", f"--grpc_python_out={_generated}"]
if protoc.main(_arguments + ["v2.proto", "v1beta1.proto"]) != 0:
    pytest.exit("the published protocol does not compile", returncode=3)
sys.path[:0] = [str(_generated), str(HERE)]

from world import Vault  # noqa: E402  (it needs the generated modules)


@pytest.fixture(scope="session")
def vault(tmp_path_factory):
    with Vault(KYANITE, AZURE, tmp_path_factory.mktemp("vault")) as vault:
        yield vault


@pytest.fixture(autouse=True)
def well(vault):
    """No test leaves a fault behind."""
    yield
    vault.heal()


@pytest.fixture
def start(vault):
    """Starts plugins that end with the test."""
    running = []

    def begin(kind, **options):
        plugin = vault.plugin(kind, **options)
        running.append(plugin)
        return plugin

    yield begin
    for plugin in running:
        plugin.stop()
