// The vault as Azure's JavaScript SDK sees it: its README's own shape, pointed here by `kyanite env` alone.

import assert from "node:assert/strict";
import { createHash, createPublicKey, randomUUID, verify } from "node:crypto";
import { test } from "node:test";

import { DefaultAzureCredential } from "@azure/identity";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { SecretClient } from "@azure/keyvault-secrets";

import { throttled, vaultUrl, withAccess } from "./door.js";

const credential = new DefaultAzureCredential();
const keys = new KeyClient(vaultUrl, credential);
const secrets = new SecretClient(vaultUrl, credential);
const fresh = (kind) => `js-${kind}-${randomUUID()}`;
const seed = new TextEncoder().encode("a seed");

/** A refusal with this status and, if given, this inner code. */
const refusal = (statusCode, inner) => (error) => {
  assert.equal(error.statusCode, statusCode, String(error));
  if (inner) assert.equal(error.details.error.innerError.code, inner);
  return true;
};

test("a key from creation to purge", async () => {
  const name = fresh("life");
  const first = await keys.createRsaKey(name, { keySize: 2048, tags: { made: "here" } });
  assert.equal(first.id, `${vaultUrl}/keys/${name}/${first.properties.version}`);
  const second = await keys.rotateKey(name);
  assert.notEqual(second.properties.version, first.properties.version);
  assert.deepEqual((await keys.getKey(name, { version: first.properties.version })).key.n, first.key.n);
  await keys.updateKeyProperties(name, second.properties.version, { tags: { a: "b" } });
  assert.deepEqual((await keys.getKey(name)).properties.tags, { a: "b" });
  const versions = [];
  for await (const version of keys.listPropertiesOfKeyVersions(name)) versions.push(version.version);
  assert.deepEqual(versions.sort(), [first, second].map((key) => key.properties.version).sort());

  const policy = await keys.updateKeyRotationPolicy(name, {
    expiresIn: "P90D",
    lifetimeActions: [{ action: "Rotate", timeAfterCreate: "P30D" }],
  });
  assert.equal(policy.expiresIn, "P90D");
  assert.equal((await keys.getKeyRotationPolicy(name)).expiresIn, "P90D");

  const backup = await keys.backupKey(name);
  const deletion = await keys.beginDeleteKey(name);
  const deleted = await deletion.pollUntilDone();
  assert.equal(deleted.properties.recoveryId, `${vaultUrl}/deletedkeys/${name}`);
  await assert.rejects(keys.getKey(name), refusal(404));
  await assert.rejects(keys.createRsaKey(name), refusal(409, "ObjectIsDeletedButRecoverable"));
  await (await keys.beginRecoverDeletedKey(name)).pollUntilDone();
  assert.equal((await keys.getKey(name)).id, second.id);
  await (await keys.beginDeleteKey(name)).pollUntilDone();
  await keys.purgeDeletedKey(name);
  assert.equal((await keys.restoreKeyBackup(backup)).id, second.id);
});

test("an imported key opens what was sealed for it", async () => {
  const { generateKeyPairSync, publicEncrypt } = await import("node:crypto");
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = pair.privateKey.export({ format: "jwk" });
  const members = Object.entries(jwk).map(([name, value]) => [name, name === "kty" ? value : Buffer.from(value, "base64url")]);
  const key = await keys.importKey(fresh("import"), { ...Object.fromEntries(members), keyOps: ["decrypt", "encrypt"] });
  const sealed = publicEncrypt({ key: pair.publicKey, oaepHash: "sha256" }, seed);
  const { result } = await new CryptographyClient(key.id, credential).decrypt({ algorithm: "RSA-OAEP-256", ciphertext: sealed });
  assert.deepEqual(Buffer.from(result), Buffer.from(seed));
});

test("every encryption algorithm there and back", async () => {
  for (const keySize of [2048, 3072, 4096]) {
    const key = await keys.createRsaKey(fresh(`rsa-${keySize}`), { keySize });
    const crypto = new CryptographyClient(key, credential);
    for (const algorithm of ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256"]) {
      const { result: ciphertext } = await crypto.encrypt({ algorithm, plaintext: seed });
      const { result: plaintext } = await crypto.decrypt({ algorithm, ciphertext });
      const { result: wrapped } = await crypto.wrapKey(algorithm, seed);
      const { result: unwrapped } = await crypto.unwrapKey(algorithm, wrapped);
      for (const opened of [plaintext, unwrapped]) assert.deepEqual(Buffer.from(opened), Buffer.from(seed), algorithm);
    }
  }
});

test("every signature algorithm, checked by Node", async () => {
  const message = Buffer.from("what was signed");
  const publicKey = (key) => {
    const text = (bytes) => Buffer.from(bytes).toString("base64url");
    const { kty, crv, n, e, x, y } = key.key;
    const members = kty === "RSA" ? { kty, n: text(n), e: text(e) } : { kty, crv: crv === "P-256K" ? "secp256k1" : crv, x: text(x), y: text(y) };
    return createPublicKey({ key: members, format: "jwk" });
  };
  const check = async (key, algorithm, hash, options) => {
    const digest = createHash(hash).update(message).digest();
    const crypto = new CryptographyClient(key, credential);
    const { result } = await crypto.sign(algorithm, digest);
    assert.ok(verify(hash, message, { key: publicKey(key), ...options }, result), algorithm);
    assert.ok((await crypto.verify(algorithm, digest, result)).result, algorithm);
    const broken = Uint8Array.from(result);
    broken[broken.length - 1] ^= 1;
    assert.ok(!(await crypto.verify(algorithm, digest, broken)).result, algorithm);
  };
  const rsa = await keys.createRsaKey(fresh("sign"));
  const { constants } = await import("node:crypto");
  for (const bits of [256, 384, 512]) {
    await check(rsa, `RS${bits}`, `sha${bits}`, {});
    await check(rsa, `PS${bits}`, `sha${bits}`, { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: bits / 8 });
  }
  for (const [curve, algorithm, hash] of [["P-256", "ES256", "sha256"], ["P-384", "ES384", "sha384"], ["P-521", "ES512", "sha512"], ["P-256K", "ES256K", "sha256"]]) {
    await check(await keys.createEcKey(fresh(curve.toLowerCase()), { curve }), algorithm, hash, { dsaEncoding: "ieee-p1363" });
  }
});

test("a disabled and an expired key", async () => {
  const disabled = await keys.createRsaKey(fresh("disabled"), { enabled: false });
  await assert.rejects(keys.getKey(disabled.name), refusal(403, "KeyDisabled"));
  const expired = await keys.createRsaKey(fresh("expired"));
  const crypto = new CryptographyClient(expired, credential);
  const { result: ciphertext } = await crypto.encrypt({ algorithm: "RSA-OAEP", plaintext: seed });
  await keys.updateKeyProperties(expired.name, expired.properties.version, { expiresOn: new Date(Date.now() - 3_600_000) });
  // The vault signs no more, and still opens.
  await assert.rejects(crypto.sign("RS256", createHash("sha256").digest()), refusal(403));
  const { result } = await crypto.decrypt({ algorithm: "RSA-OAEP", ciphertext });
  assert.deepEqual(Buffer.from(result), Buffer.from(seed));
});

test("a caller without a role", async () => {
  const { name } = await keys.createRsaKey(fresh("denied"));
  await withAccess("rbac", () => assert.rejects(keys.getKey(name), refusal(403, "ForbiddenByRbac")));
});

test("a throttled call is tried again", async () => {
  const { name } = await keys.createRsaKey(fresh("throttled"));
  assert.equal(await throttled(name, () => keys.getKey(name)), 1);
});

test("a secret from its first value to its backup", async () => {
  const name = fresh("secret");
  const first = await secrets.setSecret(name, "one", { contentType: "text/plain" });
  await secrets.setSecret(name, "two");
  assert.equal((await secrets.getSecret(name)).value, "two");
  assert.equal((await secrets.getSecret(name, { version: first.properties.version })).value, "one");
  await secrets.updateSecretProperties(name, first.properties.version, { enabled: false });
  await assert.rejects(secrets.getSecret(name, { version: first.properties.version }), refusal(403, "SecretDisabled"));
  const backup = await secrets.backupSecret(name);
  await (await secrets.beginDeleteSecret(name)).pollUntilDone();
  await assert.rejects(secrets.getSecret(name), refusal(404));
  await (await secrets.beginRecoverDeletedSecret(name)).pollUntilDone();
  await (await secrets.beginDeleteSecret(name)).pollUntilDone();
  await secrets.purgeDeletedSecret(name);
  await secrets.restoreSecretBackup(backup);
  assert.equal((await secrets.getSecret(name)).value, "two");
});

test("pages of more than 60 secrets", async () => {
  const prefix = fresh("page");
  const missing = new Set(Array.from({ length: 61 }, (_, number) => `${prefix}-${number}`));
  for (const name of missing) await secrets.setSecret(name, "x");
  let pages = 0;
  for await (const page of secrets.listPropertiesOfSecrets().byPage()) {
    pages += 1;
    for (const secret of page) missing.delete(secret.name);
  }
  assert.equal(missing.size, 0);
  assert.ok(pages >= 3, `${pages} pages`);
});
