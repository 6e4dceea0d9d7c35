"""Kyanite's API server over either plugin and one etcd: what is stored under the one is read under the other."""

import base64
import json
import os
import ssl
import subprocess
import urllib.request

import pytest
from world import free_port, wait_for


class Cluster:
    """An etcd, and an API server that is started anew for each plugin."""

    def __init__(self, kyanite, folder):
        self.kyanite, self.folder = kyanite, folder
        client, peer = free_port(), free_port()
        self.etcd_url = f"http://127.0.0.1:{client}"
        peer_url = f"http://127.0.0.1:{peer}"
        self.etcd = subprocess.Popen(
            ["etcd", "--data-dir", str(folder / "etcd"), "--listen-client-urls", self.etcd_url]
            + ["--advertise-client-urls", self.etcd_url, "--listen-peer-urls", peer_url]
            + ["--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"default={peer_url}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def serve(self, plugin, version="v2"):
        config = {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [
                {
                    "resources": ["secrets"],
                    "providers": [
                        {
                            "kms": {
                                "apiVersion": version,
                                "name": "azurekmsprovider",
                                "endpoint": f"unix://{plugin.socket}",
                            }
                        }
                    ],
                }
            ],
        }
        (self.folder / "encryption.json").write_text(json.dumps(config))
        ready = self.folder / "apiserver.json"
        ready.unlink(missing_ok=True)
        port = free_port()
        self.process = subprocess.Popen(
            [self.kyanite, "apiserver", "--etcd-servers", self.etcd_url, "--secure-port", str(port)]
            + ["--bind-address", "127.0.0.1", "--cert-dir", str(self.folder / "certs"), "--ready-file", str(ready)]
            + ["--encryption-provider-config", str(self.folder / "encryption.json")],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "apiserver.log").open("a"),
        )
        wait_for("the API server", lambda: ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, (self.folder / "apiserver.log").read_text()
        self.url = f"https://127.0.0.1:{port}"
        self.token = (self.folder / "certs/token").read_text().strip()
        trusted = ssl.create_default_context(cafile=self.folder / "certs/ca.crt")
        direct = urllib.request.ProxyHandler({})
        self.http = urllib.request.build_opener(direct, urllib.request.HTTPSHandler(context=trusted))
        wait_for("health", lambda: self.call("GET", "healthz/kms-providers", raw=True) == b"ok", 30)

    def call(self, method, path, body=None, raw=False):
        request = urllib.request.Request(f"{self.url}/{path}", method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with self.http.open(request) as answer:
            content = answer.read()
        return content if raw else json.loads(content)

    def write(self, name):
        data = {"password": base64.b64encode(name.encode()).decode()}
        self.call("POST", "api/v1/namespaces/default/secrets", {"metadata": {"name": name}, "data": data})

    def read(self, name):
        secret = self.call("GET", f"api/v1/namespaces/default/secrets/{name}")
        return base64.b64decode(secret["data"]["password"]).decode()

    def stored(self, name):
        command = ["etcdctl", "--endpoints", self.etcd_url, "get", f"/registry/secrets/default/{name}", "--print-value-only"]
        environment = {"ETCDCTL_API": "3", "PATH": os.environ["PATH"]}
        return subprocess.run(command, env=environment, check=True, capture_output=True).stdout

    def end_server(self):
        self.process.terminate()
        self.process.wait(20)

    def end(self):
        self.end_server()
        self.etcd.kill()
        self.etcd.wait()


@pytest.mark.parametrize("writer, reader", [("azure", "kyanite"), ("kyanite", "azure")])
def test_the_same_etcd_under_either_plugin(vault, start, tmp_path, writer, reader):
    cluster = Cluster(vault.kyanite, tmp_path)
    try:
        cluster.serve(start(writer))
        cluster.write("first")
        assert cluster.stored("first").startswith(b"k8s:enc:kms:v2:azurekmsprovider:")
        assert b"first\x00" not in cluster.stored("first")
        cluster.end_server()
        # Cold: nothing is cached, so the other plugin must decrypt the seed.
        cluster.serve(start(reader))
        assert cluster.read("first") == "first"
        cluster.write("second")
        assert cluster.read("second") == "second"
    finally:
        cluster.end()
