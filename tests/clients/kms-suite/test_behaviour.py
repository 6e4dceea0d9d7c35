"""One behaviour suite for both plugins. Where Kyanite's differs on purpose, the test says so."""

import hashlib
import json
import subprocess

import pytest
import v1beta1_pb2
from world import failure, wait_for

BOTH = pytest.mark.parametrize("kind", ["azure", "kyanite", "kyanite-like-azure"])

ANNOTATIONS = {
    "algorithm.azure.akv.io",
    "date.azure.akv.io",
    "version.azure.akv.io",
    "x-ms-keyvault-region.azure.akv.io",
    "x-ms-request-id.azure.akv.io",
}


def key_id(version):
    return hashlib.sha256(f"https://kyanite.vault.azure.net/keys/kms/{version}".encode()).hexdigest()


@BOTH
def test_what_an_api_server_needs(vault, start, kind):
    plugin = start(kind)
    status = plugin.status()
    assert (status.version, status.healthz, status.key_id) == ("v2beta1", "ok", key_id(vault.version()))
    sealed = plugin.encrypt(bytes(range(32)))
    assert sealed.key_id == status.key_id
    assert len(sealed.ciphertext) == 342 and sealed.ciphertext.isascii()
    assert set(sealed.annotations) == ANNOTATIONS
    assert sealed.annotations["algorithm.azure.akv.io"] == b"RSA-OAEP-256"
    assert sealed.annotations["version.azure.akv.io"] == b"1"
    assert sealed.annotations["date.azure.akv.io"].endswith(b" GMT")
    assert plugin.decrypt(sealed) == bytes(range(32))
    # An empty uid is no reason to refuse.
    assert plugin.decrypt(plugin.encrypt(b"x", uid=""), uid="") == b"x"


@BOTH
def test_v1(start, kind):
    plugin = start(kind)
    version = plugin.v1.Version(v1beta1_pb2.VersionRequest(version="v1beta1"))
    assert (version.version, version.runtime_name) == ("v1beta1", "Microsoft AzureKMS")
    cipher = plugin.encrypt_v1(b"data key")
    assert len(cipher) == 342
    assert plugin.decrypt_v1(cipher) == b"data key"


@BOTH
def test_health_metric_and_log(start, kind):
    plugin = start(kind)
    assert plugin.health() == (200, "ok")
    plugin.decrypt(plugin.encrypt(b"seed"))
    text = plugin.metrics()
    for operation in ["encrypt", "decrypt", "grpc_encrypt", "grpc_decrypt", "grpc_version"]:
        lines = [line for line in text.splitlines() if line.startswith("kms_request_count{")]
        wanted = [f'operation="{operation}"', 'status="success"', 'otel_scope_name="keyvaultkms"']
        assert any(all(part in line for part in wanted) for line in lines), (operation, text)
    assert 'le="1.4822688982138947"' in text
    for said in [
        "Starting KeyManagementServiceServer service",
        "using kms key for encrypt/decrypt",
        "Listening for connections",
        "Prometheus metrics server running",
        "encrypt request started",
        "decrypt request complete",
    ]:
        assert said in plugin.logged(), plugin.logged()
    plugin.stop()
    assert "received shutdown signal" in plugin.logged()


@BOTH
def test_log_in_json(start, kind):
    plugin = start(kind, extra=["--log-format-json=true"])
    plugin.encrypt(b"seed")
    lines = [line for line in plugin.logged().splitlines() if line.startswith("{")]
    messages = [line.get("message") or line["fields"]["message"] for line in map(json.loads, lines)]
    assert "Listening for connections" in messages and "encrypt request complete" in messages
    assert not any(plugin.vault.secret in line for line in plugin.logged().splitlines())


@BOTH
def test_what_decrypt_refuses(start, kind):
    plugin = start(kind)
    sealed = plugin.encrypt(b"seed")
    annotations = dict(sealed.annotations)

    def refused(**other):
        code, text = failure(plugin.decrypt, sealed, **other)
        # Differs: a code that means something; Azure's plugin has one for all.
        assert code == "UNKNOWN" if kind != "kyanite" else code in ("INVALID_ARGUMENT", "NOT_FOUND")
        return text

    assert refused(annotations={}) == "invalid annotations, annotations cannot be empty"
    assert (
        refused(annotations=annotations | {"algorithm.azure.akv.io": b"RSA1_5"})
        == "algorithm RSA1_5 does not match expected algorithm RSA-OAEP-256 used for encryption"
    )
    assert (
        refused(annotations=annotations | {"version.azure.akv.io": b"2"})
        == "version 2 does not match expected version 1 used for encryption"
    )
    unknown = refused(key_id="0" * 64)
    if kind == "kyanite":
        # Differs: it looks for the version that the id names, and says what it knows.
        assert unknown.startswith(f"key id {'0' * 64} is of no known version of https://kyanite.vault.azure.net/keys/kms")
    else:
        assert unknown == f"key id {'0' * 64} does not match expected key id {sealed.key_id} used for encryption"
    for garbage in [b"", b"not base64url!", b"AAAA", b"A" * 1025]:
        assert refused(ciphertext=garbage)


@BOTH
def test_a_stale_socket_is_replaced(start, kind):
    plugin = start(kind)
    plugin.kill()
    assert plugin.socket.exists(), "a crash leaves it"
    plugin.begin()
    assert plugin.status().healthz == "ok"


@BOTH
def test_quotes_in_names(vault, start, kind):
    version = vault.version()
    assert start(kind, version=f'"{version}"').status().key_id == key_id(version)


@BOTH
def test_the_vault_fails(vault, start, kind):
    version = vault.rotate()
    plugin = start(kind, version=version)
    sealed = plugin.encrypt(b"seed")
    assert plugin.health()[0] == 200

    vault.fault("--refuse", "403", "--on", "KeyEncrypt", "--code", "Forbidden", "--inner-code", "ForbiddenByRbac")
    code, text = failure(plugin.encrypt, b"seed")
    assert "403" in text and "Forbidden" in text and text.startswith("failed to encrypt, error: ")
    assert code == ("PERMISSION_DENIED" if kind == "kyanite" else "UNKNOWN")
    if kind != "kyanite":
        # Differs: what the vault's owner did fails readiness, not liveness.
        assert plugin.health()[0] in (500, 503)
    vault.heal()

    vault.fault("--refuse", "429", "--on", "KeyDecrypt", "--retry-after", "30")
    code, text = failure(plugin.decrypt, sealed)
    # Differs: Azure's plugin waits for longer than its caller, who hears of a deadline only.
    assert code == ("RESOURCE_EXHAUSTED" if kind == "kyanite" else "DEADLINE_EXCEEDED"), text
    vault.heal()

    vault.fault("--drop")
    code, _ = failure(plugin.encrypt, b"seed")
    # Go tells a broken connection in several ways, as it meets the deadline.
    assert code in {"kyanite": ("UNAVAILABLE",)}.get(kind, ("UNKNOWN", "DEADLINE_EXCEEDED", "CANCELLED"))
    vault.heal()

    vault.set_enabled(version, False)
    code, text = failure(plugin.encrypt, b"seed")
    assert "Operation encrypt is not allowed on a disabled key." in text
    assert code == ("FAILED_PRECONDITION" if kind == "kyanite" else "UNKNOWN")
    vault.set_enabled(version, True)
    assert plugin.decrypt(sealed) == b"seed"
    wait_for("health again", lambda: plugin.health()[0] == 200)


@pytest.mark.parametrize("kind", ["kyanite"])
def test_readiness_is_not_liveness(vault, start, kind):
    """Differs: Azure's plugin has the one endpoint, which its manifest uses for liveness."""
    plugin = start(kind)
    plugin.encrypt(b"seed")
    vault.fault("--refuse", "403", "--on", "vault", "--code", "Forbidden", "--inner-code", "ForbiddenByRbac")
    failure(plugin.encrypt, b"seed")
    codes = [plugin.http(plugin.health_port, path)[0] for path in ("/livez", "/readyz", "/healthz")]
    assert codes == [200, 503, 200]


@pytest.mark.parametrize("kind", ["azure", "kyanite"])
def test_a_configuration_that_is_not_there_ends_it_with_its_name(vault, start, kind):
    plugin = start(kind)
    plugin.stop()
    (plugin.folder / "azure.json").unlink()
    ended = subprocess.run(plugin.arguments, env=plugin.environment, capture_output=True, timeout=20)
    assert ended.returncode != 0
    assert str(plugin.folder / "azure.json") in ended.stderr.decode()
