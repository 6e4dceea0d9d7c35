"""The API server as the official Python client of Kubernetes sees it, from the kubeconfig of the ready file."""

import base64
import subprocess
import threading

import pytest
from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException


@pytest.fixture(scope="session")
def api_client(ready):
    # The cluster's own certificate and token; the gateway is for Azure's names, not for this one.
    made = config.new_client_from_config(config_file=ready["kubeconfig"])
    yield made
    made.close()


@pytest.fixture(scope="session")
def core(api_client):
    return client.CoreV1Api(api_client)


@pytest.fixture
def namespace(core, name):
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    yield name
    core.delete_namespace(name)


def secret(name, **data):
    return client.V1Secret(metadata=client.V1ObjectMeta(name=name), string_data=data)


def test_version_and_resources(api_client):
    assert client.VersionApi(api_client).get_code().git_version.endswith("+kyanite")
    resources = {entry.name: entry for entry in client.CoreV1Api(api_client).get_api_resources().resources}
    assert {"configmaps", "namespaces", "secrets"} <= resources.keys()
    assert resources["secrets"].namespaced and not resources["namespaces"].namespaced


def test_a_secret_from_create_to_delete(core, namespace):
    created = core.create_namespaced_secret(namespace, secret("a", k="one"))
    assert created.type == "Opaque" and created.metadata.uid
    read = core.read_namespaced_secret("a", namespace)
    assert base64.b64decode(read.data["k"]) == b"one"

    read.data["k"] = base64.b64encode(b"two").decode()
    replaced = core.replace_namespaced_secret("a", namespace, read)
    assert replaced.metadata.resource_version != created.metadata.resource_version
    with pytest.raises(ApiException) as conflict:
        core.replace_namespaced_secret("a", namespace, created)
    assert conflict.value.status == 409 and "the object has been modified" in conflict.value.body

    patched = core.patch_namespaced_secret("a", namespace, {"metadata": {"labels": {"x": "1"}}})
    assert patched.metadata.labels == {"x": "1"} and base64.b64decode(patched.data["k"]) == b"two"
    core.delete_namespaced_secret("a", namespace)
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_secret("a", namespace)
    assert gone.value.status == 404


def test_what_is_stored_is_sealed(ready, core, namespace):
    core.create_namespaced_secret(namespace, secret("sealed", k="can nobody read this?"))
    key = f"/registry/secrets/{namespace}/sealed"
    etcdctl = ["etcdctl", f"--endpoints={','.join(ready['etcd'])}", "get", key, "--print-value-only"]
    stored = subprocess.run(etcdctl, check=True, capture_output=True, env={"ETCDCTL_API": "3", "PATH": "/usr/local/bin:/usr/bin:/bin"})
    assert stored.stdout.startswith(b"k8s:enc:kms:v2:azurekmsprovider:")
    assert b"can nobody read this?" not in stored.stdout


def test_lists_in_chunks_and_by_selector(core, namespace):
    for number in range(5):
        body = secret(f"s{number}", k="v")
        body.metadata.labels = {"odd": str(number % 2)}
        core.create_namespaced_secret(namespace, body)
    names, token = [], None
    while token != "":
        page = core.list_namespaced_secret(namespace, limit=2, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue or ""
    assert names == ["s0", "s1", "s2", "s3", "s4"]
    odd = core.list_namespaced_secret(namespace, label_selector="odd=1").items
    assert [item.metadata.name for item in odd] == ["s1", "s3"]
    one = core.list_secret_for_all_namespaces(field_selector=f"metadata.namespace={namespace},metadata.name=s4").items
    assert [item.metadata.name for item in one] == ["s4"]
    core.delete_collection_namespaced_secret(namespace, label_selector="odd=0")
    assert [item.metadata.name for item in core.list_namespaced_secret(namespace).items] == ["s1", "s3"]


def test_a_watch_sees_a_life(core, namespace):
    start = core.list_namespaced_config_map(namespace).metadata.resource_version

    def live():
        body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="m"), data={"k": "v"})
        core.create_namespaced_config_map(namespace, body)
        core.patch_namespaced_config_map("m", namespace, {"data": {"k": "w"}})
        core.delete_namespaced_config_map("m", namespace)

    writer = threading.Thread(target=live)
    writer.start()
    seen = []
    for event in watch.Watch().stream(
        core.list_namespaced_config_map, namespace, resource_version=start, timeout_seconds=30
    ):
        seen.append((event["type"], event["object"].data["k"]))
        if event["type"] == "DELETED":
            break
    writer.join()
    assert seen == [("ADDED", "v"), ("MODIFIED", "w"), ("DELETED", "w")]


def test_refusals_are_statuses(core, namespace):
    with pytest.raises(ApiException) as invalid:
        core.create_namespaced_secret(namespace, secret("Not_A_Name", k="v"))
    assert invalid.value.status == 422 and "a lowercase RFC 1123 subdomain" in invalid.value.body
    core.create_namespaced_secret(namespace, secret("a", k="v"))
    # The client checks the fields of a whole object by itself, those of a patch it leaves to the server.
    with pytest.raises(ApiException) as strict:
        core.patch_namespaced_secret("a", namespace, {"strngData": {}}, field_validation="Strict")
    assert strict.value.status == 422 and "strict decoding error: unknown field" in strict.value.body
    with pytest.raises(ApiException) as nowhere:
        core.create_namespaced_secret("no-such-namespace", secret("a", k="v"))
    assert nowhere.value.status == 404


def test_the_dynamic_client_finds_its_way(api_client, namespace):
    secrets = dynamic.DynamicClient(api_client).resources.get(api_version="v1", kind="Secret")
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "d"}, "stringData": {"k": "v"}}
    created = secrets.create(body=body, namespace=namespace)
    assert created.metadata.name == "d"
    assert [item.metadata.name for item in secrets.get(namespace=namespace).items] == ["d"]
