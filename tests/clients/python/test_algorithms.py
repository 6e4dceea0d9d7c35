"""Every algorithm of every kind of key, crossed with `cryptography` both ways.

The keys are made here and imported, so that both sides have them; the vault never gives a private key out.
"""

import hashlib
import hmac
import os

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import JsonWebKey, KeyOperation
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from vault import b64, raw, unb64

DIGESTS = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {
    "P-256": (ec.SECP256R1, "ES256"),
    "P-256K": (ec.SECP256K1, "ES256K"),
    "P-384": (ec.SECP384R1, "ES384"),
    "P-521": (ec.SECP521R1, "ES512"),
}
RSA_ALGORITHMS = [("RSA1_5", None), ("RSA-OAEP", hashes.SHA1), ("RSA-OAEP-256", hashes.SHA256)]
ALL_OPERATIONS = ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]
MESSAGE = b"signed by one, verified by the other"


def number(value: int, length: int | None = None) -> bytes:
    return value.to_bytes(length or (value.bit_length() + 7) // 8, "big")


@pytest.fixture(scope="module")
def rsa_private():
    return rsa.generate_private_key(65537, 3072)


@pytest.fixture
def rsa_key(one, name, rsa_private):
    numbers = rsa_private.private_numbers()
    public = numbers.public_numbers
    members = {"n": public.n, "e": public.e, "d": numbers.d, "p": numbers.p, "q": numbers.q}
    members |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    members = {member: number(value) for member, value in members.items()}
    return one.import_key(name, JsonWebKey(kty="RSA", key_ops=ALL_OPERATIONS, **members))


def import_curve(one, name, private, curve, **options):
    numbers = private.private_numbers()
    width = (private.curve.key_size + 7) // 8
    x, y = numbers.public_numbers.x, numbers.public_numbers.y
    jwk = JsonWebKey(
        kty="EC", crv=curve, key_ops=["sign", "verify"],
        d=number(numbers.private_value, width), x=number(x, width), y=number(y, width),
    )
    return one.import_key(name, jwk, **options)


def import_bytes(one, name, key):
    return one.import_key(name, JsonWebKey(kty="oct-HSM", k=key, key_ops=ALL_OPERATIONS), hardware_protected=True)


class TestRsa:
    @pytest.mark.parametrize("bits", DIGESTS)
    @pytest.mark.parametrize("scheme", ["PS", "RS"])
    def test_signatures(self, one, secret_credential, name, rsa_private, rsa_key, scheme, bits):
        digest = DIGESTS[bits]()
        pad = padding.PKCS1v15() if scheme == "RS" else padding.PSS(padding.MGF1(digest), digest.digest_size)
        hashed = hashlib.new(f"sha{bits}", MESSAGE).digest()
        algorithm = SignatureAlgorithm(f"{scheme}{bits}")
        signed = CryptographyClient(rsa_key.id, secret_credential).sign(algorithm, hashed)
        assert signed.key_id == rsa_key.id
        rsa_private.public_key().verify(signed.signature, MESSAGE, pad, digest)
        foreign = rsa_private.sign(MESSAGE, pad, digest)
        body = {"alg": algorithm, "digest": b64(hashed), "value": b64(foreign)}
        assert raw(one, f"keys/{name}/verify", body) == {"value": True}
        body["digest"] = b64(bytes(len(hashed)))
        assert raw(one, f"keys/{name}/verify", body) == {"value": False}
        with pytest.raises(HttpResponseError) as refused:
            raw(one, f"keys/{name}/sign", {"alg": algorithm, "value": b64(hashed[1:])})
        assert refused.value.status_code == 400

    @pytest.mark.parametrize("algorithm, digest", RSA_ALGORITHMS)
    @pytest.mark.parametrize("forth, back", [("encrypt", "decrypt"), ("wrapKey", "unwrapKey")])
    def test_encryption(self, one, name, rsa_private, rsa_key, algorithm, digest, forth, back):
        pad = padding.PKCS1v15() if digest is None else padding.OAEP(padding.MGF1(digest()), digest(), None)
        sealed = raw(one, f"keys/{name}/{forth}", {"alg": algorithm, "value": b64(b"seed")})
        assert rsa_private.decrypt(unb64(sealed["value"]), pad) == b"seed"
        foreign = rsa_private.public_key().encrypt(b"seed", pad)
        assert unb64(raw(one, f"keys/{name}/{back}", {"alg": algorithm, "value": b64(foreign)})["value"]) == b"seed"

    def test_the_public_half_comes_back_and_nothing_else(self, one, name, rsa_private, rsa_key):
        numbers = rsa_private.public_key().public_numbers()
        fetched = one.get_key(name).key
        assert (fetched.n, fetched.e) == (number(numbers.n), b"\x01\x00\x01")
        assert (fetched.d, fetched.p, fetched.q, fetched.dp, fetched.dq, fetched.qi) == (None,) * 6


class TestCurves:
    @pytest.mark.parametrize("hardware", [False, True])
    @pytest.mark.parametrize("curve", CURVES)
    def test_signatures(self, one, secret_credential, name, curve, hardware):
        kind, algorithm = CURVES[curve]
        private = ec.generate_private_key(kind())
        key = import_curve(one, name, private, curve, hardware_protected=hardware)
        assert key.key_type == ("EC-HSM" if hardware else "EC")
        bits = algorithm.removeprefix("ES").removesuffix("K")
        digest, hashed = DIGESTS[bits](), hashlib.new(f"sha{bits}", MESSAGE).digest()
        width = (kind().key_size + 7) // 8
        signature = CryptographyClient(key.id, secret_credential).sign(SignatureAlgorithm(algorithm), hashed).signature
        assert len(signature) == 2 * width
        r, s = (int.from_bytes(half, "big") for half in (signature[:width], signature[width:]))
        private.public_key().verify(utils.encode_dss_signature(r, s), MESSAGE, ec.ECDSA(digest))
        r, s = utils.decode_dss_signature(private.sign(MESSAGE, ec.ECDSA(digest)))
        body = {"alg": algorithm, "digest": b64(hashed), "value": b64(number(r, width) + number(s, width))}
        assert raw(one, f"keys/{name}/verify", body) == {"value": True}
        body["value"] = b64(number(s, width) + number(r, width))
        assert raw(one, f"keys/{name}/verify", body) == {"value": False}
        # The SDK verifies by itself, with the public key that the vault gave out.
        client = CryptographyClient(one.get_key(name), secret_credential)
        assert client.verify(SignatureAlgorithm(algorithm), hashed, signature).is_valid

    def test_an_algorithm_belongs_to_one_curve(self, one, name):
        one.create_ec_key(name, curve="P-384")
        with pytest.raises(HttpResponseError) as refused:
            raw(one, f"keys/{name}/sign", {"alg": "ES256", "value": b64(bytes(32))})
        assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")


@pytest.mark.parametrize("size", [128, 192, 256])
class TestSymmetric:
    """Where the SDK believes that it can do an algorithm by itself (A256CBCPAD, A*KW), the vault is asked directly: for a key
    without `k`, which a vault never gives out, SDK 4.11.3 makes a random one up and works with that."""

    def test_gcm(self, one, secret_credential, name, size):
        secret = os.urandom(size // 8)
        client = CryptographyClient(import_bytes(one, name, secret).id, secret_credential)
        algorithm = EncryptionAlgorithm(f"A{size}GCM")
        sealed = client.encrypt(algorithm, b"seed", additional_authenticated_data=b"context")
        assert (len(sealed.iv), len(sealed.tag)) == (12, 16) and sealed.aad == b"context"
        assert AESGCM(secret).decrypt(sealed.iv, sealed.ciphertext + sealed.tag, b"context") == b"seed"
        nonce = os.urandom(12)
        foreign = AESGCM(secret).encrypt(nonce, b"seed", b"context")
        options = {"iv": nonce, "authentication_tag": foreign[-16:], "additional_authenticated_data": b"context"}
        assert client.decrypt(algorithm, foreign[:-16], **options).plaintext == b"seed"
        options["additional_authenticated_data"] = b"other"
        with pytest.raises(HttpResponseError) as refused:
            client.decrypt(algorithm, foreign[:-16], **options)
        assert refused.value.status_code == 400

    @pytest.mark.parametrize("padded", [False, True])
    def test_cbc(self, one, name, size, padded):
        secret, iv = os.urandom(size // 8), os.urandom(16)
        import_bytes(one, name, secret)
        algorithm = EncryptionAlgorithm(f"A{size}CBC{'PAD' if padded else ''}")
        plain = b"twenty bytes of text" if padded else b"exactly 32 bytes of text, really"
        cipher = Cipher(algorithms.AES(secret), modes.CBC(iv))
        padder, encryptor = PKCS7(128).padder(), cipher.encryptor()
        blocks = padder.update(plain) + padder.finalize() if padded else plain
        foreign = encryptor.update(blocks) + encryptor.finalize()
        sealed = raw(one, f"keys/{name}/encrypt", {"alg": algorithm, "value": b64(plain), "iv": b64(iv)})
        assert (unb64(sealed["value"]), unb64(sealed["iv"])) == (foreign, iv)
        opened = raw(one, f"keys/{name}/decrypt", {"alg": algorithm, "value": b64(foreign), "iv": b64(iv)})
        assert unb64(opened["value"]) == plain

    @pytest.mark.parametrize("ckm", [False, True])
    def test_key_wrap(self, one, name, size, ckm):
        secret, wrapped = os.urandom(size // 8), os.urandom(32)
        import_bytes(one, name, secret)
        algorithm = KeyWrapAlgorithm.ckm_aes_key_wrap if ckm else KeyWrapAlgorithm(f"A{size}KW")
        foreign = keywrap.aes_key_wrap(secret, wrapped)
        sealed = raw(one, f"keys/{name}/wrapkey", {"alg": algorithm, "value": b64(wrapped)})
        assert unb64(sealed["value"]) == foreign
        opened = raw(one, f"keys/{name}/unwrapkey", {"alg": algorithm, "value": b64(foreign)})
        assert unb64(opened["value"]) == wrapped

    def test_key_wrap_with_padding(self, one, secret_credential, name, size):
        secret = os.urandom(size // 8)
        client = CryptographyClient(import_bytes(one, name, secret).id, secret_credential)
        algorithm = KeyWrapAlgorithm.ckm_aes_key_wrap_pad
        for length in (1, 7, 8, 20, 32):
            wrapped = os.urandom(length)
            foreign = keywrap.aes_key_wrap_with_padding(secret, wrapped)
            assert client.wrap_key(algorithm, wrapped).encrypted_key == foreign
            assert client.unwrap_key(algorithm, foreign).key == wrapped

    @pytest.mark.parametrize("bits", DIGESTS)
    def test_hmac(self, one, secret_credential, name, size, bits):
        secret = os.urandom(size // 8)
        client = CryptographyClient(import_bytes(one, name, secret).id, secret_credential)
        hashed = hashlib.new(f"sha{bits}", MESSAGE).digest()
        foreign = hmac.new(secret, hashed, f"sha{bits}").digest()
        algorithm = SignatureAlgorithm(f"HS{bits}")
        assert client.sign(algorithm, hashed).signature == foreign
        assert client.verify(algorithm, hashed, foreign).is_valid
        assert not client.verify(algorithm, hashed, bytes(len(foreign))).is_valid

    def test_a_key_that_the_vault_made(self, one, secret_credential, name, size):
        operations = [KeyOperation.encrypt, KeyOperation.decrypt]
        key = one.create_oct_key(name, size=size, hardware_protected=True, key_operations=operations)
        assert (key.key_type, key.key.k) == ("oct-HSM", None)
        client = CryptographyClient(key.id, secret_credential)
        sealed = client.encrypt(EncryptionAlgorithm(f"A{size}GCM"), b"seed")
        options = {"iv": sealed.iv, "authentication_tag": sealed.tag}
        assert client.decrypt(EncryptionAlgorithm(f"A{size}GCM"), sealed.ciphertext, **options).plaintext == b"seed"


def test_a_signature_of_another_key_is_none(one, name, rsa_private, rsa_key):
    other = rsa.generate_private_key(65537, 2048)
    foreign = other.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(InvalidSignature):
        rsa_private.public_key().verify(foreign, MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    body = {"alg": "RS256", "digest": b64(hashlib.sha256(MESSAGE).digest()), "value": b64(foreign)}
    assert raw(one, f"keys/{name}/verify", body) == {"value": False}
