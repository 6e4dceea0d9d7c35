"""A vault, the plugins in front of it, and what an API server would ask them."""

import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import grpc
import v1beta1_pb2
import v1beta1_pb2_grpc
import v2_pb2
import v2_pb2_grpc

#: How kube-apiserver's calls end: by default after 3 s.
DEADLINE = 3.0

#: The ways to the vault that Azure's plugin has.
WAYS = ["gateway", "proxy-mode", "stack-cloud", "managed-identity"]


def wait_for(what, look, seconds=20.0):
    """Polls until `look` gives something, and tells the last failure if it never does."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            seen = look()
            if seen:
                return seen
        except Exception as error:  # noqa: BLE001  (whatever it is, it is told in the end)
            last = error
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come: {last!r}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def channel(target):
    """As kube-apiserver dials: `:authority` is `localhost`. This library's own for a socket is its escaped path, which
    is no authority by RFC 3986 and which Rust's HTTP/2 refuses."""
    return grpc.insecure_channel(target, options=[("grpc.default_authority", "localhost")])


class Vault:
    """`kyanite vault`, with the vault `kyanite` and its key `kms`."""

    def __init__(self, kyanite, azure, folder):
        self.kyanite, self.azure, self.folder = kyanite, azure, pathlib.Path(folder)
        self.count = 0

    def __enter__(self):
        self.ready_file = self.folder / "ready.json"
        self.log = (self.folder / "vault.log").open("w")
        arguments = [self.kyanite, "vault", "--ready-file", str(self.ready_file)]
        self.process = subprocess.Popen(arguments, stdout=self.log, stderr=self.log)
        try:
            wait_for("the vault", lambda: self.ready_file.exists() or self.process.poll() is not None)
            assert self.process.poll() is None, (self.folder / "vault.log").read_text()
            self.ready = json.loads(self.ready_file.read_text())
        except BaseException:
            self.process.kill()
            raise
        self.gateway = self.ready["gateway"][0]["url"]
        self.plain = urllib.parse.urlsplit(self.ready["imds"])
        self.tenant = self.ready["credentials"]["tenant_id"]
        self.client = self.ready["credentials"]["client_id"]
        self.secret = pathlib.Path(self.ready["credentials"]["client_secret_file"]).read_text().strip()
        trusted = ssl.create_default_context(cafile=self.ready["ca"])
        through = urllib.request.ProxyHandler({"https": self.gateway, "http": self.gateway})
        self.http = urllib.request.build_opener(through, urllib.request.HTTPSHandler(context=trusted))
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(20) == 0
        self.log.close()

    def token(self, resource="https://vault.azure.net"):
        form = {"grant_type": "client_credentials", "client_id": self.client, "client_secret": self.secret}
        body = urllib.parse.urlencode(form | {"resource": resource}).encode()
        with self.http.open(f"https://login.microsoftonline.com/{self.tenant}/oauth2/token", body) as answer:
            return json.load(answer)["access_token"]

    def call(self, method, path, body=None):
        request = urllib.request.Request(f"https://kyanite.vault.azure.net/{path}?api-version=7.4", method=method)
        request.add_header("Authorization", f"Bearer {self.token()}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with self.http.open(request) as answer:
            return json.load(answer)

    def version(self):
        """The newest version of the key."""
        return self.call("GET", "keys/kms")["key"]["kid"].rsplit("/", 1)[1]

    def rotate(self):
        return self.call("POST", "keys/kms/rotate", {})["key"]["kid"].rsplit("/", 1)[1]

    def set_enabled(self, version, enabled):
        self.call("PATCH", f"keys/kms/{version}", {"attributes": {"enabled": enabled}})

    def fault(self, *arguments):
        self._fault("add", *arguments)

    def heal(self):
        self._fault("clear")

    def _fault(self, *arguments):
        command = [self.kyanite, "fault", *arguments, "--ready-file", str(self.ready_file)]
        subprocess.run(command, check=True, capture_output=True)

    def plugin(self, kind, version=None, way="gateway", extra=(), socket_path=None):
        self.count += 1
        folder = self.folder / f"plugin-{self.count}"
        folder.mkdir()
        return Plugin(self, kind, version or self.version(), way, list(extra), folder, socket_path)


class Plugin:
    """A plugin's process and a client of it. `kind`: `azure`, `kyanite`, or `kyanite-like-azure`."""

    def __init__(self, vault, kind, version, way, extra, folder, socket_path):
        self.vault, self.kind, self.folder = vault, kind, folder
        self.socket = socket_path or folder / "kms.sock"
        self.health_port, self.metrics_port = free_port(), free_port()
        program = [vault.azure] if kind == "azure" else [vault.kyanite, "plugin"]
        if kind == "kyanite-like-azure":
            program.append("--like-azure=all")
        self.arguments = program + [
            f"--listen-addr=unix://{self.socket}",
            "--keyvault-name=kyanite",
            "--key-name=kms",
            f"--key-version={version}",
            f"--config-file-path={folder / 'azure.json'}",
            f"--healthz-port={self.health_port}",
            f"--metrics-addr={self.metrics_port}",
            "--v=2",
            *extra,
        ]
        config = {"cloud": "AzurePublicCloud", "tenantId": vault.tenant}
        config |= {"aadClientId": vault.client, "aadClientSecret": vault.secret}
        # Only what the way needs: an environment of the machine must not help.
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        trusting = {"SSL_CERT_FILE": vault.ready["ca"]}
        through = trusting | {"HTTPS_PROXY": vault.gateway, "HTTP_PROXY": vault.gateway}
        if way == "gateway":
            self.environment |= through
        elif way == "proxy-mode":
            host, port = vault.plain.hostname, vault.plain.port
            self.arguments += ["--proxy-mode=true", f"--proxy-address={host}", f"--proxy-port={port}"]
        elif way == "stack-cloud":
            config["cloud"] = "AzureStackCloud"
            stack = {
                "name": "AzureStackCloud",
                "activeDirectoryEndpoint": "https://login.microsoftonline.com/",
                "keyVaultEndpoint": "https://vault.azure.net/",
                "keyVaultDNSSuffix": "vault.azure.net",
                "managedHSMDNSSuffix": "N/A",
                "resourceIdentifiers": {"keyVault": "https://vault.azure.net", "managedHSM": "N/A"},
            }
            (folder / "stack.json").write_text(json.dumps(stack))
            self.environment |= through | {"AZURE_ENVIRONMENT_FILEPATH": str(folder / "stack.json")}
        elif way == "managed-identity":
            config = {"tenantId": vault.tenant, "useManagedIdentityExtension": True}
            self.environment |= through
        else:
            raise ValueError(way)
        (folder / "azure.json").write_text(json.dumps(config))
        self.begin()

    def begin(self):
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(self.arguments, env=self.environment, stdout=log, stderr=log)
        self.channel = channel(f"unix://{self.socket}")
        self.v1 = v1beta1_pb2_grpc.KeyManagementServiceStub(self.channel)
        self.v2 = v2_pb2_grpc.KeyManagementServiceStub(self.channel)
        try:
            wait_for("the plugin", self._answers)
        except AssertionError:
            self.process.kill()
            raise AssertionError(self.logged()) from None

    def _answers(self):
        assert self.process.poll() is None, self.logged()
        wait = {"wait_for_ready": True, "timeout": 1}
        return self.v1.Version(v1beta1_pb2.VersionRequest(version="v1beta1"), **wait)

    def stop(self):
        """As a kubelet stops it."""
        self.channel.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(20) == 0, self.logged()

    def kill(self):
        self.channel.close()
        self.process.kill()
        self.process.wait()

    def logged(self):
        return (self.folder / "log").read_text()

    def status(self):
        return self.v2.Status(v2_pb2.StatusRequest(), timeout=DEADLINE)

    def encrypt(self, plaintext, uid="suite"):
        return self.v2.Encrypt(v2_pb2.EncryptRequest(plaintext=plaintext, uid=uid), timeout=DEADLINE)

    def decrypt(self, sealed, uid="suite", **other):
        request = {"ciphertext": sealed.ciphertext, "key_id": sealed.key_id, "annotations": dict(sealed.annotations)}
        return self.v2.Decrypt(v2_pb2.DecryptRequest(uid=uid, **(request | other)), timeout=DEADLINE).plaintext

    def encrypt_v1(self, plain):
        return self.v1.Encrypt(v1beta1_pb2.EncryptRequest(version="v1beta1", plain=plain), timeout=DEADLINE).cipher

    def decrypt_v1(self, cipher):
        return self.v1.Decrypt(v1beta1_pb2.DecryptRequest(version="v1beta1", cipher=cipher), timeout=DEADLINE).plain

    def http(self, port, path):
        """Status and text of a probe."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(f"http://127.0.0.1:{port}{path}", timeout=25) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def health(self):
        return wait_for("the health endpoint", lambda: self.http(self.health_port, "/healthz"))

    def metrics(self):
        return self.http(self.metrics_port, "/metrics")[1]


def failure(call, *arguments, **options):
    """The gRPC code and text with which a call fails."""
    try:
        answer = call(*arguments, **options)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    raise AssertionError(f"it did not fail: {answer!r}")
