// Package clients drives the vault with Azure's Go SDK, as its README shows, pointed here by `kyanite env` alone.
package clients

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

var ctx = context.Background()

func keyClient(t *testing.T) *azkeys.Client {
	t.Helper()
	cred, err := azidentity.NewDefaultAzureCredential(nil)
	must(t, err)
	client, err := azkeys.NewClient(vaultURL(t), cred, nil)
	must(t, err)
	return client
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fresh(t *testing.T, kind string) string {
	return fmt.Sprintf("go-%s-%d", kind, time.Now().UnixNano())
}

// refused demands an answer with this status and, if it is not empty, this text in its body.
func refused(t *testing.T, err error, status int, text string) {
	t.Helper()
	var response *azcore.ResponseError
	if !errors.As(err, &response) || response.StatusCode != status || !strings.Contains(err.Error(), text) {
		t.Fatalf("expected %d %s, got %v", status, text, err)
	}
}

func create(t *testing.T, client *azkeys.Client, name string, parameters azkeys.CreateKeyParameters) *azkeys.KeyBundle {
	t.Helper()
	created, err := client.CreateKey(ctx, name, parameters, nil)
	must(t, err)
	return &created.KeyBundle
}

func rsaKey(bits int32) azkeys.CreateKeyParameters {
	return azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA), KeySize: to.Ptr(bits)}
}

func curve(name azkeys.CurveName) azkeys.CreateKeyParameters {
	return azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeEC), Curve: to.Ptr(name)}
}

func TestKeyLife(t *testing.T) {
	client, name := keyClient(t), fresh(t, "life")
	first := create(t, client, name, rsaKey(2048))
	if want := vaultURL(t) + "keys/" + name + "/"; !strings.HasPrefix(string(*first.Key.KID), want) {
		t.Fatalf("%s is not under %s", *first.Key.KID, want)
	}
	second, err := client.RotateKey(ctx, name, nil)
	must(t, err)
	if second.Key.KID.Version() == first.Key.KID.Version() {
		t.Fatal("rotation made no version")
	}
	old, err := client.GetKey(ctx, name, first.Key.KID.Version(), nil)
	must(t, err)
	if !bytes.Equal(old.Key.N, first.Key.N) {
		t.Fatal("the old version has another key")
	}
	updated, err := client.UpdateKey(ctx, name, "", azkeys.UpdateKeyParameters{Tags: map[string]*string{"a": to.Ptr("b")}}, nil)
	must(t, err)
	if *updated.Tags["a"] != "b" {
		t.Fatal(updated.Tags)
	}
	versions := 0
	for pager := client.NewListKeyPropertiesVersionsPager(name, nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		must(t, err)
		versions += len(page.Value)
	}
	if versions != 2 {
		t.Fatalf("%d versions", versions)
	}

	backup, err := client.BackupKey(ctx, name, nil)
	must(t, err)
	deleted, err := client.DeleteKey(ctx, name, nil)
	must(t, err)
	if deleted.RecoveryID == nil || !deleted.ScheduledPurgeDate.After(*deleted.DeletedDate) {
		t.Fatalf("%+v", deleted)
	}
	_, err = client.GetKey(ctx, name, "", nil)
	refused(t, err, http.StatusNotFound, "KeyNotFound")
	_, err = client.RestoreKey(ctx, azkeys.RestoreKeyParameters{KeyBackup: backup.Value}, nil)
	refused(t, err, http.StatusConflict, "")
	_, err = client.RecoverDeletedKey(ctx, name, nil)
	must(t, err)
	_, err = client.DeleteKey(ctx, name, nil)
	must(t, err)
	_, err = client.PurgeDeletedKey(ctx, name, nil)
	must(t, err)
	restored, err := client.RestoreKey(ctx, azkeys.RestoreKeyParameters{KeyBackup: backup.Value}, nil)
	must(t, err)
	if *restored.Key.KID != *second.Key.KID {
		t.Fatalf("%s came back as %s", *second.Key.KID, *restored.Key.KID)
	}

	policy := azkeys.KeyRotationPolicy{
		Attributes: &azkeys.KeyRotationPolicyAttributes{ExpiryTime: to.Ptr("P90D")},
		LifetimeActions: []*azkeys.LifetimeAction{{
			Action:  &azkeys.LifetimeActionType{Type: to.Ptr(azkeys.KeyRotationPolicyActionRotate)},
			Trigger: &azkeys.LifetimeActionTrigger{TimeAfterCreate: to.Ptr("P30D")},
		}},
	}
	_, err = client.UpdateKeyRotationPolicy(ctx, name, policy, nil)
	must(t, err)
	found, err := client.GetKeyRotationPolicy(ctx, name, nil)
	must(t, err)
	if *found.Attributes.ExpiryTime != "P90D" {
		t.Fatalf("%+v", found)
	}
}

func TestImport(t *testing.T) {
	client, name := keyClient(t), fresh(t, "import")
	own, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	jwk := azkeys.JSONWebKey{
		Kty: to.Ptr(azkeys.KeyTypeRSA), N: own.N.Bytes(), E: big.NewInt(int64(own.E)).Bytes(), D: own.D.Bytes(),
		P: own.Primes[0].Bytes(), Q: own.Primes[1].Bytes(),
		DP: own.Precomputed.Dp.Bytes(), DQ: own.Precomputed.Dq.Bytes(), QI: own.Precomputed.Qinv.Bytes(),
	}
	_, err = client.ImportKey(ctx, name, azkeys.ImportKeyParameters{Key: &jwk}, nil)
	must(t, err)
	plain := []byte("sealed outside")
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &own.PublicKey, plain, nil)
	must(t, err)
	opened, err := client.Decrypt(ctx, name, "", azkeys.KeyOperationParameters{
		Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: sealed,
	}, nil)
	must(t, err)
	if !bytes.Equal(opened.Result, plain) {
		t.Fatal("another plaintext")
	}
}

func TestEncryptionAlgorithms(t *testing.T) {
	client := keyClient(t)
	for _, bits := range []int32{2048, 3072, 4096} {
		name := fresh(t, fmt.Sprintf("rsa-%d", bits))
		create(t, client, name, rsaKey(bits))
		for _, algorithm := range []azkeys.EncryptionAlgorithm{
			azkeys.EncryptionAlgorithmRSA15, azkeys.EncryptionAlgorithmRSAOAEP, azkeys.EncryptionAlgorithmRSAOAEP256,
		} {
			input := azkeys.KeyOperationParameters{Algorithm: to.Ptr(algorithm), Value: []byte("a seed")}
			sealed, err := client.Encrypt(ctx, name, "", input, nil)
			must(t, err)
			opened, err := client.Decrypt(ctx, name, "", azkeys.KeyOperationParameters{Algorithm: to.Ptr(algorithm), Value: sealed.Result}, nil)
			must(t, err)
			wrapped, err := client.WrapKey(ctx, name, "", input, nil)
			must(t, err)
			unwrapped, err := client.UnwrapKey(ctx, name, "", azkeys.KeyOperationParameters{Algorithm: to.Ptr(algorithm), Value: wrapped.Result}, nil)
			must(t, err)
			if string(opened.Result) != "a seed" || string(unwrapped.Result) != "a seed" {
				t.Fatalf("%s: %q, %q", algorithm, opened.Result, unwrapped.Result)
			}
		}
	}
}

func TestSignatureAlgorithms(t *testing.T) {
	client := keyClient(t)
	message := []byte("what was signed")
	d256, d384, d512 := sha256.Sum256(message), sha512.Sum384(message), sha512.Sum512(message)
	rsaName := fresh(t, "sign")
	bundle := create(t, client, rsaName, rsaKey(2048))
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(bundle.Key.N), E: 65537}
	cases := []struct {
		name      string
		algorithm azkeys.SignatureAlgorithm
		digest    []byte
		check     func(signature []byte) bool
	}{
		{rsaName, azkeys.SignatureAlgorithmRS256, d256[:], func(s []byte) bool { return rsa.VerifyPKCS1v15(public, crypto.SHA256, d256[:], s) == nil }},
		{rsaName, azkeys.SignatureAlgorithmRS384, d384[:], func(s []byte) bool { return rsa.VerifyPKCS1v15(public, crypto.SHA384, d384[:], s) == nil }},
		{rsaName, azkeys.SignatureAlgorithmRS512, d512[:], func(s []byte) bool { return rsa.VerifyPKCS1v15(public, crypto.SHA512, d512[:], s) == nil }},
		{rsaName, azkeys.SignatureAlgorithmPS256, d256[:], func(s []byte) bool { return rsa.VerifyPSS(public, crypto.SHA256, d256[:], s, nil) == nil }},
		{rsaName, azkeys.SignatureAlgorithmPS384, d384[:], func(s []byte) bool { return rsa.VerifyPSS(public, crypto.SHA384, d384[:], s, nil) == nil }},
		{rsaName, azkeys.SignatureAlgorithmPS512, d512[:], func(s []byte) bool { return rsa.VerifyPSS(public, crypto.SHA512, d512[:], s, nil) == nil }},
	}
	for _, ec := range []struct {
		curve     azkeys.CurveName
		local     elliptic.Curve
		algorithm azkeys.SignatureAlgorithm
		digest    []byte
	}{
		{azkeys.CurveNameP256, elliptic.P256(), azkeys.SignatureAlgorithmES256, d256[:]},
		{azkeys.CurveNameP384, elliptic.P384(), azkeys.SignatureAlgorithmES384, d384[:]},
		{azkeys.CurveNameP521, elliptic.P521(), azkeys.SignatureAlgorithmES512, d512[:]},
		// Go's library does not know this curve: the vault alone checks it here.
		{azkeys.CurveNameP256K, nil, azkeys.SignatureAlgorithmES256K, d256[:]},
	} {
		name := fresh(t, strings.ToLower(string(ec.curve)))
		bundle := create(t, client, name, curve(ec.curve))
		check := func([]byte) bool { return true }
		if ec.local != nil {
			key := &ecdsa.PublicKey{Curve: ec.local, X: new(big.Int).SetBytes(bundle.Key.X), Y: new(big.Int).SetBytes(bundle.Key.Y)}
			check = func(s []byte) bool {
				half := len(s) / 2
				return ecdsa.Verify(key, ec.digest, new(big.Int).SetBytes(s[:half]), new(big.Int).SetBytes(s[half:]))
			}
		}
		cases = append(cases, struct {
			name      string
			algorithm azkeys.SignatureAlgorithm
			digest    []byte
			check     func(signature []byte) bool
		}{name, ec.algorithm, ec.digest, check})
	}
	for _, c := range cases {
		signed, err := client.Sign(ctx, c.name, "", azkeys.SignParameters{Algorithm: to.Ptr(c.algorithm), Value: c.digest}, nil)
		must(t, err)
		if !c.check(signed.Result) {
			t.Fatalf("%s: Go does not accept the vault's signature", c.algorithm)
		}
		verify := func(signature []byte) bool {
			answer, err := client.Verify(ctx, c.name, "", azkeys.VerifyParameters{Algorithm: to.Ptr(c.algorithm), Digest: c.digest, Signature: signature}, nil)
			must(t, err)
			return *answer.Value
		}
		broken := append([]byte{}, signed.Result...)
		broken[len(broken)-1] ^= 1
		if !verify(signed.Result) || verify(broken) {
			t.Fatalf("%s: the vault does not tell its signature from a broken one", c.algorithm)
		}
	}
}

func TestStatesRefuse(t *testing.T) {
	client := keyClient(t)
	input := azkeys.KeyOperationParameters{Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: []byte("x")}

	disabled := fresh(t, "disabled")
	parameters := rsaKey(2048)
	parameters.KeyAttributes = &azkeys.KeyAttributes{Enabled: to.Ptr(false)}
	create(t, client, disabled, parameters)
	_, err := client.Encrypt(ctx, disabled, "", input, nil)
	refused(t, err, http.StatusForbidden, "KeyDisabled")

	expired := fresh(t, "expired")
	create(t, client, expired, rsaKey(2048))
	sealed, err := client.Encrypt(ctx, expired, "", input, nil)
	must(t, err)
	past := time.Now().Add(-time.Hour)
	attributes := &azkeys.KeyAttributes{Expires: &past}
	_, err = client.UpdateKey(ctx, expired, "", azkeys.UpdateKeyParameters{KeyAttributes: attributes}, nil)
	must(t, err)
	_, err = client.Encrypt(ctx, expired, "", input, nil)
	refused(t, err, http.StatusForbidden, "")
	// What was sealed before can still be opened.
	_, err = client.Decrypt(ctx, expired, "", azkeys.KeyOperationParameters{Algorithm: input.Algorithm, Value: sealed.Result}, nil)
	must(t, err)
}

func TestDenied(t *testing.T) {
	client, name := keyClient(t), fresh(t, "denied")
	create(t, client, name, rsaKey(2048))
	withAccess(t, "rbac")
	_, err := client.GetKey(ctx, name, "", nil)
	refused(t, err, http.StatusForbidden, "ForbiddenByRbac")
}

func TestThrottled(t *testing.T) {
	client, name := keyClient(t), fresh(t, "throttled")
	create(t, client, name, rsaKey(2048))
	struck := throttled(t, name)
	_, err := client.GetKey(ctx, name, "", nil)
	must(t, err)
	if struck() != 1 {
		t.Fatalf("the fault struck %d times", struck())
	}
}
