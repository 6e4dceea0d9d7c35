"""What the tests of the vault share."""

import base64
import datetime
import urllib.parse

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from azure.keyvault.keys import KeyClient


def in_hours(hours: float) -> datetime.datetime:
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return now + datetime.timedelta(hours=hours)


def inner_code(error: HttpResponseError) -> str:
    inner = error.model.error.inner_error if getattr(error, "model", None) else error.error.innererror
    return inner["code"] if isinstance(inner, dict) else inner.code


def raw(client: KeyClient, path: str, body: dict) -> dict:
    """One operation of the vault that the SDK would do locally, by the SDK's own pipeline."""
    url = f"{client.vault_url.rstrip('/')}/{urllib.parse.quote(path)}?api-version=2016-10-01"
    response = client.send_request(HttpRequest("POST", url, json=body))
    response.raise_for_status()
    return response.json()


def b64(value: bytes) -> str:
    """Base64url without padding, as the wire has it."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
