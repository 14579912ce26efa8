// TUNNEL=mtls: every pilotfish has a TLS listener that asks for certificates, and the suites reach it through `pilotfish tunnel`.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { Child } from "./processes.mjs";

/** Whether the suites go through a tunnel. */
export const tunnelled = process.env.TUNNEL === "mtls";

let folder;

/** Makes a certificate authority, or has one sign a certificate, and returns where the files begin. */
export function certify(directory, name, { by, names = [`DNS:${name}.example`], days = "2" } = {}) {
    const file = path.join(directory, name);
    const openssl = (...args) => execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${file}.key`];
    if (!by) {
        openssl("req", "-x509", ...key, "-out", `${file}.crt`, "-days", days, "-subj", `/CN=${name}`);
        return file;
    }
    fs.writeFileSync(`${file}.ext`, `subjectAltName=${names.join(",")}\nbasicConstraints=CA:FALSE\n`);
    openssl("req", "-new", ...key, "-out", `${file}.csr`, "-subj", `/CN=${name}`);
    openssl("x509", "-req", "-in", `${file}.csr`, "-CA", `${by}.crt`, "-CAkey", `${by}.key`, "-CAcreateserial", "-days", days, "-extfile", `${file}.ext`, "-out", `${file}.crt`);
    return file;
}

/** The certificates of this run: one authority, the proxy's, the side-car's. */
function certificates() {
    if (folder) return folder;
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-tls-"));
    process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
    const by = certify(folder, "ca");
    certify(folder, "proxy", { by, names: ["DNS:localhost", "IP:127.0.0.1"] });
    certify(folder, "sidecar", { by });
    return folder;
}

/** The same config with a TLS listener for the SDK. */
export function withTls(config) {
    const at = (name) => path.join(certificates(), name);
    const tls = `tls = { cert = "${at("proxy.crt")}", key = "${at("proxy.key")}", client_ca = "${at("ca.crt")}" }`;
    return config.replace(/^name = "sdk"$/m, (line) => `${line}\n${tls}`);
}

/** Starts a tunnel to the proxy at `to`; `address` is where the SDK connects. `ca` and `own` are where files begin. */
export async function startTunnel(pilotfish, to, { ca = path.join(certificates(), "ca"), own = path.join(certificates(), "sidecar"), args = [] } = {}) {
    const files = ["--ca", `${ca}.crt`, ...(own ? ["--cert", `${own}.crt`, "--key", `${own}.key`] : [])];
    const child = new Child("tunnel", pilotfish, ["tunnel", "--listen", "127.0.0.1:0", "--to", to, "--connect-timeout", "2s", ...files, ...args]);
    const [, address] = await child.line(/^listening name=tunnel .*addr=(\S+)/);
    return { child, address };
}
