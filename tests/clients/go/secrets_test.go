package clients

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

func secretClient(t *testing.T) *azsecrets.Client {
	t.Helper()
	cred, err := azidentity.NewDefaultAzureCredential(nil)
	must(t, err)
	client, err := azsecrets.NewClient(vaultURL(t), cred, nil)
	must(t, err)
	return client
}

func TestSecretLife(t *testing.T) {
	client, name := secretClient(t), fresh(t, "secret")
	set := func(value string) *azsecrets.ID {
		answer, err := client.SetSecret(ctx, name, azsecrets.SetSecretParameters{Value: to.Ptr(value), ContentType: to.Ptr("text/plain")}, nil)
		must(t, err)
		return answer.ID
	}
	first := set("one")
	set("two")
	latest, err := client.GetSecret(ctx, name, "", nil)
	must(t, err)
	old, err := client.GetSecret(ctx, name, first.Version(), nil)
	must(t, err)
	if *latest.Value != "two" || *old.Value != "one" || *latest.ContentType != "text/plain" {
		t.Fatalf("%s, %s", *latest.Value, *old.Value)
	}
	// Out of its time a secret is still read; disabled it is not.
	past := time.Now().Add(-time.Hour)
	update := func(attributes azsecrets.SecretAttributes) {
		_, err := client.UpdateSecretProperties(ctx, name, first.Version(), azsecrets.UpdateSecretPropertiesParameters{SecretAttributes: &attributes}, nil)
		must(t, err)
	}
	update(azsecrets.SecretAttributes{Expires: &past})
	_, err = client.GetSecret(ctx, name, first.Version(), nil)
	must(t, err)
	update(azsecrets.SecretAttributes{Enabled: to.Ptr(false)})
	_, err = client.GetSecret(ctx, name, first.Version(), nil)
	refused(t, err, http.StatusForbidden, "SecretDisabled")

	backup, err := client.BackupSecret(ctx, name, nil)
	must(t, err)
	_, err = client.DeleteSecret(ctx, name, nil)
	must(t, err)
	_, err = client.GetSecret(ctx, name, "", nil)
	refused(t, err, http.StatusNotFound, "SecretNotFound")
	_, err = client.RecoverDeletedSecret(ctx, name, nil)
	must(t, err)
	_, err = client.DeleteSecret(ctx, name, nil)
	must(t, err)
	_, err = client.PurgeDeletedSecret(ctx, name, nil)
	must(t, err)
	_, err = client.RestoreSecret(ctx, azsecrets.RestoreSecretParameters{SecretBackup: backup.Value}, nil)
	must(t, err)
	again, err := client.GetSecret(ctx, name, "", nil)
	must(t, err)
	if *again.Value != "two" {
		t.Fatal(*again.Value)
	}
}

func TestPagesOfSecrets(t *testing.T) {
	client, prefix := secretClient(t), fresh(t, "page")
	missing := map[string]bool{}
	for number := range 61 {
		name := fmt.Sprintf("%s-%d", prefix, number)
		_, err := client.SetSecret(ctx, name, azsecrets.SetSecretParameters{Value: to.Ptr("x")}, nil)
		must(t, err)
		missing[name] = true
	}
	pages := 0
	for pager := client.NewListSecretPropertiesPager(nil); pager.More(); pages++ {
		page, err := pager.NextPage(ctx)
		must(t, err)
		for _, secret := range page.Value {
			delete(missing, secret.ID.Name())
		}
	}
	if len(missing) != 0 || pages < 3 {
		t.Fatalf("%d pages, without %v", pages, missing)
	}
}
