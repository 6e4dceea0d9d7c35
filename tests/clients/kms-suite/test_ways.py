"""Every way to the vault that Azure's plugin has, for both plugins: what one wrote the other reads."""

import os
import subprocess

import pytest
import v2_pb2
import v2_pb2_grpc
from test_behaviour import key_id
from world import WAYS, channel, failure

KINDS = ["azure", "kyanite"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_round_trips_and_health(vault, start, kind, way):
    plugin = start(kind, way=way)
    sealed = plugin.encrypt(b"seed")
    assert sealed.key_id == plugin.status().key_id == key_id(vault.version())
    assert plugin.decrypt(sealed) == b"seed"
    assert plugin.decrypt_v1(plugin.encrypt_v1(b"data key")) == b"data key"
    assert plugin.health() == (200, "ok")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_refusals_arrive(vault, start, kind, way):
    version = vault.rotate()
    plugin = start(kind, version=version, way=way)
    sealed = plugin.encrypt(b"seed")
    vault.fault("--refuse", "403", "--on", "KeyEncrypt", "--code", "Forbidden", "--inner-code", "ForbiddenByRbac")
    code, text = failure(plugin.encrypt, b"seed")
    assert "403" in text and "ForbiddenByRbac" in text
    assert code == ("UNKNOWN" if kind == "azure" else "PERMISSION_DENIED")
    vault.heal()
    vault.set_enabled(version, False)
    code, text = failure(plugin.decrypt, sealed)
    assert "Operation decrypt is not allowed on a disabled key." in text
    assert code == ("UNKNOWN" if kind == "azure" else "FAILED_PRECONDITION")
    vault.set_enabled(version, True)
    assert plugin.decrypt(sealed) == b"seed"


@pytest.mark.parametrize("reader", KINDS)
@pytest.mark.parametrize("writer", KINDS)
def test_what_one_wrote_the_other_reads(start, writer, reader):
    writing, reading = start(writer), start(reader)
    assert reading.decrypt(writing.encrypt(b"seed")) == b"seed"
    assert reading.decrypt_v1(writing.encrypt_v1(b"data key")) == b"data key"


@pytest.mark.parametrize("way", WAYS)
def test_rotation_takes_two_of_azures_and_one_of_ours(vault, start, way):
    """Azure's document: a second plugin with the new version beside the first, until everything is written again."""
    old_version = vault.version()
    old = start("azure", version=old_version, way=way)
    ours = start("kyanite", version=old_version, way=way)
    sealed, sealed_by_ours = old.encrypt(b"old"), ours.encrypt(b"old")
    new_version = vault.rotate()
    new = start("azure", version=new_version, way=way)
    assert new.status().key_id == key_id(new_version) != old.status().key_id
    with pytest.raises(Exception, match="does not match expected key id"):
        new.decrypt(sealed)
    assert old.decrypt(sealed) == b"old"

    ours_now = start("kyanite", version=new_version, way=way)
    for value in (sealed, sealed_by_ours, new.encrypt(b"old")):
        assert ours_now.decrypt(value) == b"old"


def test_an_abstract_socket(start):
    """`unix:///@name`, as kube-apiserver has it: no file, and a crash leaves nothing."""
    template = start("kyanite")
    template.stop()
    name = f"kyanite-suite-{os.getpid()}"
    others = [flag for flag in template.arguments if not flag.startswith("--listen-addr")]
    process = subprocess.Popen(
        [*others, f"--listen-addr=unix:///@{name}"], env=template.environment, stderr=subprocess.DEVNULL
    )
    try:
        with channel(f"unix-abstract:{name}") as opened:
            stub = v2_pb2_grpc.KeyManagementServiceStub(opened)
            assert stub.Status(v2_pb2.StatusRequest(), timeout=10, wait_for_ready=True).healthz == "ok"
    finally:
        process.terminate()
        assert process.wait(20) == 0
