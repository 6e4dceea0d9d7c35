// Asks kube-apiserver's own library what it says of records and configuration files, and writes the answers down.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/apis/apiserver"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/aes"
	"k8s.io/apiserver/pkg/storage/value/encrypt/envelope"
	"k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2"
	kmsservice "k8s.io/kms/pkg/service"
)

// What is asked and what was answered: answers.json, which is read and written again.
type cases struct {
	// Bodies of records in hex; the answer is the text of the error.
	Records []record `json:"records"`
	// Rules of a configuration file; the answer is every error of its validation.
	Configs []config `json:"configs"`
	// Values to be sealed under this seed; the answer is the record in hex.
	Sealed []sealed `json:"sealed"`
	// Bodies of KMS v1 values, read with this data key; one that is empty is sealed first.
	V1 []v1Case `json:"v1"`
	// Values read through a whole configuration file.
	Reads []readCase `json:"reads"`
}

type record struct {
	Body  string `json:"body"`
	Error string `json:"error"`
}

type config struct {
	Rules  string   `json:"rules"`
	Errors []string `json:"errors"`
}

type sealed struct {
	Key         string            `json:"key"`
	Seed        string            `json:"seed"`
	Plain       string            `json:"plain"`
	Annotations map[string][]byte `json:"annotations"`
	Record      string            `json:"record"`
}

type readCase struct {
	// Providers of secrets; one without a stored value seals its plain value first.
	Providers string `json:"providers"`
	Key       string `json:"key"`
	Stored    string `json:"stored"`
	Plain     string `json:"plain"`
	Stale     bool   `json:"stale"`
	Error     string `json:"error"`
}

type v1Case struct {
	Key   string `json:"key"`
	Body  string `json:"body"`
	Dek   string `json:"dek"`
	Plain string `json:"plain"`
	Error string `json:"error"`
}

// A KMS v1 plugin that encrypts every data key to the same bytes, and remembers the last one.
type v1Plugin struct{ dek []byte }

func (p *v1Plugin) Encrypt(dek []byte) ([]byte, error) {
	p.dek = dek
	return []byte("EDEK"), nil
}

func (p *v1Plugin) Decrypt([]byte) ([]byte, error) { return p.dek, nil }

// A plugin whose every seed is this one.
type plugin struct {
	seed        []byte
	annotations map[string][]byte
}

func (p plugin) Decrypt(context.Context, string, *kmsservice.DecryptRequest) ([]byte, error) {
	return p.seed, nil
}

func (p plugin) Encrypt(_ context.Context, _ string, seed []byte) (*kmsservice.EncryptResponse, error) {
	copy(p.seed, seed)
	return &kmsservice.EncryptResponse{Ciphertext: []byte("EDEK"), KeyID: "1", Annotations: p.annotations}, nil
}

func (p plugin) Status(context.Context) (*kmsservice.StatusResponse, error) {
	return &kmsservice.StatusResponse{Version: "v2", Healthz: "ok", KeyID: "1"}, nil
}

func main() {
	var all cases
	must(json.Unmarshal(read("answers.json"), &all))
	for i := range all.Records {
		answerRecord(&all.Records[i])
	}
	for i := range all.Configs {
		answerConfig(&all.Configs[i])
	}
	for i := range all.Sealed {
		answerSealed(&all.Sealed[i])
	}
	for i := range all.V1 {
		answerV1(&all.V1[i])
	}
	for i := range all.Reads {
		answerRead(&all.Reads[i])
	}
	out, err := json.MarshalIndent(all, "", " ")
	must(err)
	must(os.WriteFile("answers.json", append(out, '\n'), 0o644))
}

func answerRecord(r *record) {
	body, err := hex.DecodeString(r.Body)
	must(err)
	state := func() (kmsv2.State, error) { return kmsv2.State{}, nil }
	transformer := kmsv2.NewEnvelopeTransformer(plugin{seed: make([]byte, 32)}, "p", state, "id")
	_, _, err = transformer.TransformFromStorage(context.Background(), body, value.DefaultContext("/a"))
	r.Error = ""
	if err != nil {
		// The library picks a no-break space or a plain one behind this colon when it is built.
		r.Error = strings.ReplaceAll(err.Error(), "\u00a0", " ")
	}
}

func answerConfig(c *config) {
	scheme := runtime.NewScheme()
	must(apiserver.AddToScheme(scheme))
	must(apiserverv1.AddToScheme(scheme))
	file := "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n" + c.Rules
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	object, _, err := codecs.UniversalDecoder().Decode([]byte(file), nil, nil)
	must(err)
	c.Errors = []string{}
	for _, err := range validation.ValidateEncryptionConfiguration(object.(*apiserver.EncryptionConfiguration), false) {
		c.Errors = append(c.Errors, err.Error())
	}
}

func answerSealed(s *sealed) {
	p := plugin{seed: make([]byte, 32), annotations: s.Annotations}
	transformer, object, _, err := kmsv2.GenerateTransformer(context.Background(), "uid", p, true)
	must(err)
	s.Seed = hex.EncodeToString(p.seed)
	body, err := transformer.TransformToStorage(context.Background(), []byte(s.Plain), value.DefaultContext(s.Key))
	must(err)
	object.EncryptedData = body
	record, err := proto.Marshal(object)
	must(err)
	s.Record = hex.EncodeToString(record)
}

func answerV1(c *v1Case) {
	dek, err := hex.DecodeString(c.Dek)
	must(err)
	service := &v1Plugin{dek: dek}
	// No cache: every read asks the service.
	transformer := envelope.NewEnvelopeTransformer(service, 0, aes.NewGCMTransformer)
	if c.Dek == "" {
		body, err := transformer.TransformToStorage(context.Background(), []byte(c.Plain), value.DefaultContext(c.Key))
		must(err)
		c.Body, c.Dek = hex.EncodeToString(body), hex.EncodeToString(service.dek)
	}
	body, err := hex.DecodeString(c.Body)
	must(err)
	plain, _, err := transformer.TransformFromStorage(context.Background(), body, value.DefaultContext(c.Key))
	c.Plain, c.Error = string(plain), ""
	if err != nil {
		c.Error = err.Error()
	}
}

func answerRead(r *readCase) {
	file := "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers: " + r.Providers
	path := filepath.Join(os.TempDir(), "encryption.yaml")
	must(os.WriteFile(path, []byte(file), 0o600))
	loaded, err := encryptionconfig.LoadEncryptionConfig(context.Background(), path, false, "id")
	must(err)
	transformer := encryptionconfig.StaticTransformers(loaded.Transformers).TransformerForResource(schema.GroupResource{Resource: "secrets"})
	if r.Stored == "" {
		stored, err := transformer.TransformToStorage(context.Background(), []byte(r.Plain), value.DefaultContext(r.Key))
		must(err)
		r.Stored = hex.EncodeToString(stored)
	}
	stored, err := hex.DecodeString(r.Stored)
	must(err)
	plain, stale, err := transformer.TransformFromStorage(context.Background(), stored, value.DefaultContext(r.Key))
	r.Plain, r.Stale, r.Error = string(plain), stale, ""
	if err != nil {
		r.Error = err.Error()
	}
}

func read(name string) []byte {
	content, err := os.ReadFile(name)
	must(err)
	return content
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
