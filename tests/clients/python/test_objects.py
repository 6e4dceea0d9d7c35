"""Kinds of keys, imports, backups, rotation policies, and the life of secrets, by Azure's SDK alone."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.keys import (
    JsonWebKey,
    KeyReleasePolicy,
    KeyRotationLifetimeAction,
    KeyRotationPolicy,
    KeyRotationPolicyAction,
)
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm
from azure.keyvault.secrets import ApiVersion

from vault import in_hours, inner_code


class TestKinds:
    @pytest.mark.parametrize("hardware", [False, True])
    def test_rsa(self, one, name, hardware):
        key = one.create_rsa_key(name, size=2048, hardware_protected=hardware)
        assert key.key_type == ("RSA-HSM" if hardware else "RSA")
        assert key.properties.hsm_platform == ("2" if hardware else "0")
        assert one.rotate_key(name).key_type == key.key_type

    @pytest.mark.parametrize("hardware", [False, True])
    @pytest.mark.parametrize("curve, width", [("P-256", 32), ("P-256K", 32), ("P-384", 48), ("P-521", 66)])
    def test_curves(self, one, name, curve, width, hardware):
        key = one.create_ec_key(name, curve=curve, hardware_protected=hardware)
        assert (key.key_type, key.key.crv) == ("EC-HSM" if hardware else "EC", curve)
        assert (len(key.key.x), len(key.key.y)) == (width, width)
        assert key.key_operations == ["sign", "verify"]

    def test_symmetric_keys_are_for_hardware(self, one, name):
        with pytest.raises(HttpResponseError) as refused:
            one.create_oct_key(name, size=256, hardware_protected=False)
        assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")

    def test_a_wrapped_import_is_refused(self, one, name):
        with pytest.raises(HttpResponseError) as refused:
            one.import_key(name, JsonWebKey(kty="RSA-HSM", t=b"blob"), hardware_protected=True)
        assert refused.value.status_code == 501

    def test_random_bytes_are_for_managed_hsms(self, one):
        with pytest.raises(HttpResponseError) as refused:
            one.get_random_bytes(16)
        assert refused.value.status_code == 400

    def test_release(self, one, name):
        one.create_rsa_key(name)
        with pytest.raises(HttpResponseError) as refused:
            one.release_key(name, "token")
        assert refused.value.status_code == 403
        policy = KeyReleasePolicy(b'{"version":"1.0.0","anyOf":[]}')
        key = one.create_rsa_key(f"{name}-x", hardware_protected=True, exportable=True, release_policy=policy)
        assert key.properties.exportable and key.properties.release_policy.encoded_policy == policy.encoded_policy
        with pytest.raises(HttpResponseError) as refused:
            one.release_key(f"{name}-x", "token")
        assert refused.value.status_code == 501


class TestBackup:
    def test_a_key_comes_back_with_all_its_versions(self, one, secret_credential, name):
        first = one.create_rsa_key(name, tags={"a": "b"})
        second = one.rotate_key(name)
        client = CryptographyClient(first.id, secret_credential)
        sealed = client.encrypt(EncryptionAlgorithm.rsa_oaep_256, b"seed")
        blob = one.backup_key(name)
        with pytest.raises(ResourceExistsError):
            one.restore_key_backup(blob)
        one.begin_delete_key(name).wait()
        with pytest.raises(ResourceExistsError):
            one.restore_key_backup(blob)
        one.purge_deleted_key(name)
        restored = one.restore_key_backup(blob)
        assert (restored.id, restored.properties.tags) == (second.id, {"a": "b"})
        assert {version.id for version in one.list_properties_of_key_versions(name)} == {first.id, second.id}
        assert client.decrypt(EncryptionAlgorithm.rsa_oaep_256, sealed.ciphertext).plaintext == b"seed"

    def test_what_is_no_backup(self, one, secrets, name):
        secrets.set_secret(name, "value")
        for blob in (b"no backup", secrets.backup_secret(name)):
            with pytest.raises(HttpResponseError) as refused:
                one.restore_key_backup(blob)
            assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")


class TestRotationPolicy:
    def test_as_the_sdk_documents_it(self, one, name):
        one.create_rsa_key(name)
        default = one.get_key_rotation_policy(name)
        assert (default.expires_in, default.created_on) == (None, None)
        assert [action.action for action in default.lifetime_actions] == [KeyRotationPolicyAction.notify]
        actions = [KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create="P2M")]
        updated = one.update_key_rotation_policy(name, KeyRotationPolicy(), lifetime_actions=actions)
        assert updated.expires_in is None and updated.id.endswith(f"/keys/{name}/rotationpolicy")
        rotate = updated.lifetime_actions[0]
        assert (rotate.action, rotate.time_after_create, rotate.time_before_expiry) == ("Rotate", "P2M", None)
        again = one.update_key_rotation_policy(name, updated, expires_in="P90D")
        fetched = one.get_key_rotation_policy(name)
        assert again.expires_in == fetched.expires_in == "P90D"
        assert fetched.created_on == updated.created_on and fetched.updated_on >= fetched.created_on
        rotated = one.rotate_key(name)
        assert (rotated.properties.expires_on - rotated.properties.created_on).days == 90

    @pytest.mark.parametrize("expires_in, rotate", [("P27D", "P10D"), ("P90D", "P6D"), ("P90D", "P84D"), ("90 days", "P10D")])
    def test_minimums(self, one, name, expires_in, rotate):
        one.create_ec_key(name)
        actions = [KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create=rotate)]
        policy = KeyRotationPolicy(lifetime_actions=actions, expires_in=expires_in)
        with pytest.raises(HttpResponseError) as refused:
            one.update_key_rotation_policy(name, policy)
        assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")


class TestSecrets:
    def test_from_setting_to_purge(self, secrets, name, vault_url):
        secret = secrets.set_secret(name, "först", content_type="text/plain", tags={"made": "here"})
        assert secret.id == f"{vault_url}/secrets/{name}/{secret.properties.version}"
        assert secret.value == "först" and secret.properties.enabled
        assert secret.properties.recovery_level == "Recoverable+Purgeable"
        second = secrets.set_secret(name, "second")
        assert secrets.get_secret(name).value == "second"
        assert secrets.get_secret(name, secret.properties.version).value == "först"
        versions = {item.version for item in secrets.list_properties_of_secret_versions(name)}
        assert versions == {secret.properties.version, second.properties.version}
        deleted = secrets.begin_delete_secret(name).result()
        assert deleted.recovery_id == f"{vault_url}/deletedsecrets/{name}"
        assert (deleted.scheduled_purge_date - deleted.deleted_date).days == 90
        with pytest.raises(ResourceNotFoundError) as missing:
            secrets.get_secret(name)
        assert missing.value.error.code == "SecretNotFound"
        with pytest.raises(ResourceExistsError) as held:
            secrets.set_secret(name, "third")
        assert "is currently in a deleted but recoverable state" in str(held.value)
        assert name in {item.name for item in secrets.list_deleted_secrets()}
        secrets.begin_recover_deleted_secret(name).wait()
        assert secrets.get_secret(name, secret.properties.version).value == "först"
        secrets.begin_delete_secret(name).wait()
        secrets.purge_deleted_secret(name)
        with pytest.raises(ResourceNotFoundError):
            secrets.get_deleted_secret(name)
        assert secrets.set_secret(name, "fourth").id != secret.id

    def test_attributes(self, secrets, name):
        start, end = in_hours(24), in_hours(48)
        secret = secrets.set_secret(name, "value", not_before=start, expires_on=end)
        # Neither keeps it from being read.
        assert secrets.get_secret(name).value == "value"
        updated = secrets.update_secret_properties(name, secret.properties.version, content_type="json", tags={"a": "b"})
        assert (updated.content_type, updated.tags, updated.not_before) == ("json", {"a": "b"}, start)
        secrets.update_secret_properties(name, enabled=False)
        with pytest.raises(HttpResponseError) as disabled:
            secrets.get_secret(name)
        assert (disabled.value.status_code, inner_code(disabled.value)) == (403, "SecretDisabled")
        assert "Operation get is not allowed on a disabled secret." in str(disabled.value)
        listed = [item for item in secrets.list_properties_of_secrets() if item.name == name]
        assert [(item.enabled, item.expires_on) for item in listed] == [(False, end)]

    def test_backup(self, secrets, name):
        first, second = secrets.set_secret(name, "first"), secrets.set_secret(name, "second")
        blob = secrets.backup_secret(name)
        with pytest.raises(ResourceExistsError):
            secrets.restore_secret_backup(blob)
        secrets.begin_delete_secret(name).wait()
        secrets.purge_deleted_secret(name)
        assert secrets.restore_secret_backup(blob).id == second.id
        assert secrets.get_secret(name, first.properties.version).value == "first"

    def test_25_kilobytes(self, secrets, name):
        assert secrets.set_secret(name, "x" * 25_600).value == "x" * 25_600
        with pytest.raises(HttpResponseError) as refused:
            secrets.set_secret(name, "x" * 25_601)
        assert refused.value.status_code == 400

    @pytest.mark.parametrize("version", list(ApiVersion))
    def test_every_api_version_of_the_sdk(self, vault_url, secret_credential, name, version):
        from azure.keyvault.secrets import SecretClient

        client = SecretClient(vault_url, secret_credential, api_version=version)
        secret = client.set_secret(name, "value")
        assert client.get_secret(name).id == secret.id


class TestPages:
    def test_over_60_keys(self, one, name):
        made = {one.create_ec_key(f"{name}-{index}").name for index in range(61)}
        assert made <= {item.name for item in one.list_properties_of_keys()}
        for item in made:
            one.begin_delete_key(item)
        pages = [[key.name for key in page] for page in one.list_deleted_keys(max_page_size=20).by_page()]
        assert all(len(page) <= 20 for page in pages)
        assert made <= {key for page in pages for key in page}

    def test_over_60_secrets_and_versions(self, secrets, name):
        made = {secrets.set_secret(f"{name}-{index}", "value").name for index in range(61)}
        listed = [item.name for item in secrets.list_properties_of_secrets()]
        assert made <= set(listed) and len(listed) == len(set(listed))
        versions = {secrets.set_secret(name, str(index)).properties.version for index in range(61)}
        assert {item.version for item in secrets.list_properties_of_secret_versions(name)} == versions
