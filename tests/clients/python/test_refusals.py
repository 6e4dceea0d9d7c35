"""A denied and a throttled call, as the SDK meets them. What brings them about goes through the stack's control door."""

import json
import pathlib
import urllib.request

import pytest
from azure.core.exceptions import HttpResponseError

from vault import inner_code


@pytest.fixture
def control(ready):
    """The control door: `control(method, path, body)`."""
    token = pathlib.Path(ready["control"]["token_file"]).read_text().strip()
    # Not through the stack's own gateway.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(method, path, body=None):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(ready["control"]["url"] + path, data, headers, method=method)
        with opener.open(request) as response:
            answer = response.read()
        return json.loads(answer) if answer else None

    return call


@pytest.fixture
def decides_by(ready, control):
    """Has the vault decide by another model for as long as the test runs."""
    vault = ready["vaults"][0]["name"]

    def set_access(access):
        control("POST", "/vault", {"set_access": {"vault": vault, "access": access}})

    yield set_access
    set_access("open")


@pytest.mark.parametrize("access, code", [("rbac", "ForbiddenByRbac"), ({"policies": []}, "AccessDenied")])
def test_a_denied_call(one, secrets, name, decides_by, access, code):
    one.create_ec_key(name)
    secrets.set_secret(name, "value")
    decides_by(access)
    for denied in (one.get_key, one.create_ec_key, one.backup_key, one.get_key_rotation_policy, secrets.get_secret):
        with pytest.raises(HttpResponseError) as refused:
            denied(name)
        assert (refused.value.status_code, inner_code(refused.value)) == (403, code), denied
    # What is not there looks no different to whoever may not look.
    with pytest.raises(HttpResponseError) as refused:
        one.get_key(f"{name}-none")
    assert refused.value.status_code == 403


def test_a_throttled_call_is_tried_again(one, name, control):
    one.create_ec_key(name)
    effect = {"refuse": {"status": 429, "retry_after_seconds": 1}}
    fault = control("POST", "/faults", {"target": {"operation": "KeyGet"}, "effect": effect, "count": 2})
    try:
        assert one.get_key(name).name == name
        struck = [fault["struck"] for fault in control("GET", "/status")["vault"]["faults"]]
        assert struck[-1] == 2
    finally:
        control("DELETE", f"/faults/{fault['id']}")
