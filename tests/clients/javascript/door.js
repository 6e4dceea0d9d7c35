// A running stack, as tests/clients/run hands it over: its vault's name, and its control door, which no Azure client knows.

import { readFileSync } from "node:fs";
import http from "node:http";

const path = process.env.KYANITE_READY_FILE;
if (!path) throw new Error("KYANITE_READY_FILE is not set: run tests/clients/run");
const ready = JSON.parse(readFileSync(path, "utf8"));

export const vault = ready.vaults[0].name;
export const vaultUrl = `https://${vault}.vault.azure.net`;

/** One request to the control door; gives what it answers. */
export function control(method, path, body) {
  const token = readFileSync(ready.control.token_file, "utf8").trim();
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const request = http.request(ready.control.url + path, { method, headers }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => {
        if (response.statusCode >= 300) reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
        else resolve(text ? JSON.parse(text) : undefined);
      });
    });
    request.on("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Runs `work` while the vault decides by another access model. */
export async function withAccess(access, work) {
  await control("POST", "/vault", { set_access: { vault, access } });
  try {
    await work();
  } finally {
    await control("POST", "/vault", { set_access: { vault, access: "open" } });
  }
}

/** Has the next request about an object refused with 429, and runs `work`; gives how often that happened. */
export async function throttled(object, work) {
  const effect = { refuse: { status: 429, retry_after_seconds: 1 } };
  const { id } = await control("POST", "/faults", { effect, object, count: 1 });
  try {
    await work();
    const { vault } = await control("GET", "/status");
    return vault.faults.find((fault) => fault.id === id).struck;
  } finally {
    await control("DELETE", `/faults/${id}`);
  }
}
