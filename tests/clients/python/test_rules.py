"""Who may call the vault and how often, as Azure's Python SDK meets it. The rules are changed by the stack's control door."""

import contextlib
import json
import pathlib
import urllib.request

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity import DefaultAzureCredential
from azure.keyvault.keys import KeyClient

from vault import inner_code

# The door is on this machine; the environment's proxy would refuse it.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def control(ready):
    door = ready["control"]
    token = pathlib.Path(door["token_file"]).read_text().strip()

    def call(method: str, path: str, body=None):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with OPENER.open(urllib.request.Request(door["url"] + path, data, headers, method=method)) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    return call


@pytest.fixture
def default_keys(vault_url):
    return KeyClient(vault_url, DefaultAzureCredential())


@contextlib.contextmanager
def access(control, ready, model):
    vault = ready["vaults"][0]["name"]
    control("POST", "/vault", {"set_access": {"vault": vault, "access": model}})
    try:
        yield
    finally:
        control("POST", "/vault", {"set_access": {"vault": vault, "access": "open"}})


def test_a_caller_without_a_role(default_keys, control, ready, name):
    default_keys.create_rsa_key(name)
    with access(control, ready, "rbac"), pytest.raises(HttpResponseError) as denied:
        default_keys.get_key(name)
    assert (denied.value.status_code, inner_code(denied.value)) == (403, "ForbiddenByRbac")
    records = control("GET", "/audit")
    record = next(record for record in reversed(records) if record["properties"]["id"].endswith(f"/keys/{name}"))
    assert (record["operationName"], record["resultSignature"]) == ("KeyGet", "Forbidden")
    assert record["properties"]["clientInfo"].startswith("azsdk-python-keyvault-keys/")


def test_a_throttled_call_is_tried_again(default_keys, control, name):
    default_keys.create_rsa_key(name)
    effect = {"refuse": {"status": 429, "retry_after_seconds": 1}}
    fault = control("POST", "/faults", {"effect": effect, "object": name, "count": 1})["id"]
    try:
        assert default_keys.get_key(name).name == name
        faults = control("GET", "/status")["vault"]["faults"]
        assert next(entry["struck"] for entry in faults if entry["id"] == fault) == 1
    finally:
        control("DELETE", f"/faults/{fault}")
