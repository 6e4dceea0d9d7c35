"""The vault as Azure's Python SDK sees it: `azure-keyvault-keys` with `azure-identity`, untouched.

What the SDK would do by itself is crossed over with `cryptography`: blocks that one of them makes, the other opens.
"""

import datetime
import hashlib

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential, ManagedIdentityCredential
from azure.keyvault.keys import ApiVersion, KeyClient, KeyOperation
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from vault import in_hours, inner_code, raw

# The digest of OAEP, or None for PKCS #1 v1.5.
ALGORITHMS = {
    EncryptionAlgorithm.rsa1_5: None,
    EncryptionAlgorithm.rsa_oaep: hashes.SHA1,
    EncryptionAlgorithm.rsa_oaep_256: hashes.SHA256,
}
SIZES = [2048, 3072, 4096]


def public_key(key) -> rsa.RSAPublicKey:
    numbers = rsa.RSAPublicNumbers(int.from_bytes(key.key.e, "big"), int.from_bytes(key.key.n, "big"))
    return numbers.public_key()


def scheme(algorithm):
    digest = ALGORITHMS[algorithm]
    if digest is None:
        return padding.PKCS1v15()
    return padding.OAEP(mgf=padding.MGF1(digest()), algorithm=digest(), label=None)


class TestLife:
    def test_a_key_from_creation_to_purge(self, keys, name, vault_url):
        key = keys.create_rsa_key(name, size=2048, tags={"made": "here"})
        assert key.id == f"{vault_url}/keys/{name}/{key.properties.version}"
        assert len(key.properties.version) == 32
        assert key.key.kty == "RSA" and len(key.key.n) == 256
        assert key.properties.enabled and key.properties.recovery_level == "Recoverable+Purgeable"
        assert key.properties.recoverable_days == 90
        assert keys.get_key(name).id == key.id
        assert keys.get_key(name, key.properties.version).properties.tags == {"made": "here"}

        deleted = keys.begin_delete_key(name).result()
        assert deleted.recovery_id == f"{vault_url}/deletedkeys/{name}"
        assert deleted.scheduled_purge_date - deleted.deleted_date == datetime.timedelta(days=90)
        with pytest.raises(ResourceNotFoundError):
            keys.get_key(name)
        with pytest.raises(ResourceExistsError) as taken:
            keys.create_rsa_key(name)
        assert inner_code(taken.value) == "ObjectIsDeletedButRecoverable"
        assert name in {gone.name for gone in keys.list_deleted_keys()}
        assert keys.get_deleted_key(name).id == key.id

        assert keys.begin_recover_deleted_key(name).result().id == key.id
        assert keys.get_key(name).id == key.id

        keys.begin_delete_key(name).result()
        keys.purge_deleted_key(name)
        with pytest.raises(ResourceNotFoundError):
            keys.get_deleted_key(name)
        with pytest.raises(ResourceNotFoundError):
            keys.begin_recover_deleted_key(name)
        # The name is free again.
        assert keys.create_rsa_key(name).id != key.id

    def test_versions_and_rotation(self, keys, name):
        first = keys.create_rsa_key(name, size=3072, key_operations=["encrypt", "decrypt"])
        second = keys.rotate_key(name)
        third = keys.create_rsa_key(name)
        assert len({first.id, second.id, third.id}) == 3
        assert second.key_operations == ["encrypt", "decrypt"] and len(second.key.n) == 384
        assert keys.get_key(name).id == third.id
        listed = [version.id for version in keys.list_properties_of_key_versions(name)]
        assert sorted(listed) == sorted([first.id, second.id, third.id])

    def test_attributes(self, keys, name):
        start, end = in_hours(-1), in_hours(24)
        key = keys.create_rsa_key(name, not_before=start, expires_on=end, enabled=False)
        assert (key.properties.not_before, key.properties.expires_on) == (start, end)
        assert key.properties.enabled is False
        with pytest.raises(HttpResponseError) as disabled:
            keys.get_key(name)
        assert (disabled.value.status_code, inner_code(disabled.value)) == (403, "KeyDisabled")
        later = in_hours(48)
        updated = keys.update_key_properties(
            name, key.properties.version, enabled=True, expires_on=later, tags={"a": "b"}, key_operations=["wrapKey"]
        )
        assert updated.properties.enabled and updated.properties.expires_on == later
        assert updated.properties.not_before == start and updated.properties.tags == {"a": "b"}
        assert keys.get_key(name).key_operations == ["wrapKey"]

    def test_missing_keys_and_bad_names(self, one, name):
        with pytest.raises(ResourceNotFoundError) as missing:
            one.get_key(name)
        assert missing.value.error.code == "KeyNotFound"
        assert missing.value.error.message.startswith(f"A key with (name/id) {name} was not found in this key vault.")
        with pytest.raises(HttpResponseError) as bad:
            one.create_rsa_key("not_a_name")
        assert (bad.value.status_code, bad.value.error.code) == (400, "BadParameter")

    def test_pages(self, one, name):
        made = {one.create_rsa_key(f"{name}-{index}").name for index in range(27)}
        pages = [[item.name for item in page] for page in one.list_properties_of_keys(max_page_size=10).by_page()]
        assert all(len(page) <= 10 for page in pages) and len(pages) >= 3
        listed = [item for page in pages for item in page]
        assert made <= set(listed) and len(listed) == len(set(listed))
        # The default page ends at 25, so the SDK has to follow a link here as well.
        assert made <= {item.name for item in one.list_properties_of_keys()}
        versions = [one.rotate_key(f"{name}-0").id for _ in range(3)]
        pages = one.list_properties_of_key_versions(f"{name}-0", max_page_size=2).by_page()
        assert set(versions) <= {item.id for page in pages for item in page}


class TestCryptography:
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_encrypted_by_cryptography_decrypted_by_the_vault(self, one, secret_credential, name, algorithm, size):
        key = one.create_rsa_key(name, size=size)
        remote = CryptographyClient(key.id, secret_credential)
        digest = ALGORITHMS[algorithm]
        overhead = 11 if digest is None else 2 * digest.digest_size + 2
        for length in (1, 32, size // 8 - overhead):
            plain = hashlib.shake_256(name.encode()).digest(length)
            sealed = public_key(key).encrypt(plain, scheme(algorithm))
            assert remote.decrypt(algorithm, sealed).plaintext == plain

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_encrypted_by_the_vault(self, one, name, algorithm):
        """`CryptographyClient` encrypts by itself when it has the public key; so the vault is asked directly."""
        key = one.create_rsa_key(name)
        sealed = raw(one, f"keys/{name}//encrypt", {"alg": algorithm, "value": "c2VlZA"})
        assert sealed["kid"] == key.id and len(sealed["value"]) == 342 and "=" not in sealed["value"]
        opened = raw(one, f"keys/{name}/{key.properties.version}/decrypt", {"alg": algorithm, "value": sealed["value"]})
        assert opened == {"kid": key.id, "value": "c2VlZA"}

    @pytest.mark.parametrize(
        "algorithm", [KeyWrapAlgorithm.rsa1_5, KeyWrapAlgorithm.rsa_oaep, KeyWrapAlgorithm.rsa_oaep_256]
    )
    def test_wrap_and_unwrap(self, keys, credential, name, algorithm):
        key = keys.create_rsa_key(name)
        client = CryptographyClient(key.id, credential)
        wrapped = client.wrap_key(algorithm, b"0123456789abcdef0123456789abcdef")
        assert client.unwrap_key(algorithm, wrapped.encrypted_key).key == b"0123456789abcdef0123456789abcdef"
        sealed = raw(keys, f"keys/{name}/wrapKey", {"alg": algorithm, "value": "c2VlZA"})
        assert raw(keys, f"keys/{name}/unwrapKey", {"alg": algorithm, "value": sealed["value"]})["value"] == "c2VlZA"

    def test_an_expired_key_opens_but_does_not_seal(self, one, secret_credential, name):
        key = one.create_rsa_key(name, expires_on=in_hours(-1))
        sealed = public_key(key).encrypt(b"seed", scheme(EncryptionAlgorithm.rsa_oaep_256))
        client = CryptographyClient(key.id, secret_credential)
        assert client.decrypt(EncryptionAlgorithm.rsa_oaep_256, sealed).plaintext == b"seed"
        with pytest.raises(HttpResponseError) as refused:
            raw(one, f"keys/{name}/encrypt", {"alg": "RSA-OAEP-256", "value": "c2VlZA"})
        assert refused.value.status_code == 403

    def test_a_disabled_key_and_a_forbidden_operation(self, one, name):
        key = one.create_rsa_key(name, key_operations=[KeyOperation.encrypt])
        sealed = raw(one, f"keys/{name}/encrypt", {"alg": "RSA-OAEP", "value": "c2VlZA"})["value"]
        with pytest.raises(HttpResponseError) as refused:
            raw(one, f"keys/{name}/decrypt", {"alg": "RSA-OAEP", "value": sealed})
        assert "Operation decrypt is not permitted on this key." in str(refused.value)
        one.update_key_properties(name, enabled=False)
        with pytest.raises(HttpResponseError) as refused:
            raw(one, f"keys/{name}/{key.properties.version}/encrypt", {"alg": "RSA-OAEP", "value": "c2VlZA"})
        assert "Operation encrypt is not allowed on a disabled key." in str(refused.value)

    def test_a_ciphertext_of_another_key(self, one, secret_credential, name):
        mine, other = one.create_rsa_key(name), one.create_rsa_key(f"{name}-2")
        sealed = public_key(other).encrypt(b"seed", scheme(EncryptionAlgorithm.rsa_oaep_256))
        with pytest.raises(HttpResponseError) as refused:
            CryptographyClient(mine.id, secret_credential).decrypt(EncryptionAlgorithm.rsa_oaep_256, sealed)
        assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")


class TestIdentity:
    def test_a_wrong_secret(self, ready, vault_url):
        told = ready["credentials"]
        wrong = ClientSecretCredential(told["tenant_id"], told["client_id"], "wrong")
        with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
            KeyClient(vault_url, wrong).get_key("any")

    def test_an_unknown_application(self, ready, vault_url):
        unknown = ClientSecretCredential(ready["credentials"]["tenant_id"], "00000000-0000-4000-8000-000000000000", "x")
        with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
            KeyClient(vault_url, unknown).get_key("any")

    def test_an_unknown_managed_identity(self, vault_url):
        unknown = ManagedIdentityCredential(client_id="00000000-0000-4000-8000-000000000000")
        with pytest.raises(ClientAuthenticationError):
            KeyClient(vault_url, unknown).get_key("any")

    @pytest.mark.parametrize("version", list(ApiVersion))
    def test_every_api_version_of_the_sdk(self, vault_url, secret_credential, name, version):
        client = KeyClient(vault_url, secret_credential, api_version=version)
        key = client.create_rsa_key(name)
        assert client.get_key(name).id == key.id
        assert [item.name for item in client.list_properties_of_keys() if item.name == name] == [name]
