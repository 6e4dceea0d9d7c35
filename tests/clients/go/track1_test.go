package clients

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/services/keyvault/2016-10-01/keyvault"
	"github.com/Azure/go-autorest/autorest"
	"github.com/Azure/go-autorest/autorest/azure/auth"
	"github.com/Azure/go-autorest/autorest/to"
)

// The client of api-version 2016-10-01 on go-autorest: what Azure's KMS plugin is built on.
func TestTrack1(t *testing.T) {
	authorizer, err := auth.NewAuthorizerFromEnvironmentWithResource("https://vault.azure.net")
	must(t, err)
	client := keyvault.New()
	client.Authorizer = authorizer
	vault, name := strings.TrimSuffix(vaultURL(t), "/"), fresh(t, "track1")

	created, err := client.CreateKey(ctx, vault, name, keyvault.KeyCreateParameters{Kty: keyvault.RSA, KeySize: to.Int32Ptr(2048)})
	must(t, err)
	parts := strings.Split(*created.Key.Kid, "/")
	version := parts[len(parts)-1]
	for _, algorithm := range keyvault.PossibleJSONWebKeyEncryptionAlgorithmValues() {
		seed := base64.RawURLEncoding.EncodeToString([]byte("a seed"))
		sealed, err := client.Encrypt(ctx, vault, name, version, keyvault.KeyOperationsParameters{Algorithm: algorithm, Value: &seed})
		must(t, err)
		if *sealed.Kid != *created.Key.Kid {
			t.Fatalf("%s instead of %s", *sealed.Kid, *created.Key.Kid)
		}
		for _, header := range []string{"Date", "X-Ms-Request-Id", "X-Ms-Keyvault-Region"} {
			if sealed.Response.Header.Get(header) == "" {
				t.Fatalf("no %s", header)
			}
		}
		opened, err := client.Decrypt(ctx, vault, name, version, keyvault.KeyOperationsParameters{Algorithm: algorithm, Value: sealed.Result})
		must(t, err)
		if *opened.Result != seed {
			t.Fatalf("%s instead of %s", *opened.Result, seed)
		}
	}
	_, err = client.GetKey(ctx, vault, name+"-missing", "")
	if detailed, ok := err.(autorest.DetailedError); !ok || detailed.StatusCode != http.StatusNotFound {
		t.Fatal(err)
	}
	found := false
	for list, err := client.GetKeysComplete(ctx, vault, to.Int32Ptr(2)); list.NotDone(); err = list.NextWithContext(ctx) {
		must(t, err)
		found = found || strings.HasSuffix(*list.Value().Kid, "/"+name)
	}
	if !found {
		t.Fatal("the key is in no page")
	}
}
