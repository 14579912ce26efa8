// The files for containers, Kubernetes and systemd, as tests look at them.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import { parseAllDocuments } from "yaml";

import { root } from "./programs.mjs";

export const dockerfiles = ["Dockerfile", "conf/docker/copilot-cli.Dockerfile"];

/** The configs of pilotfish that are shipped for somebody to use, and the names of the secrets that they take. */
export const configs = ["conf/docker/pilotfish.toml", "conf/kubernetes/pilotfish.toml", "conf/systemd/pilotfish.toml"];

export const read = (file) => fs.readFileSync(path.join(root, file), "utf8");

/** The names of the environment variables that a config takes secrets from. */
export const secretsOf = (config) => [...read(config).matchAll(/\{\s*env\s*=\s*"(\w+)"\s*\}/g)].map(([, name]) => name);

/** Programs that pip installed. */
export const python = (name) => path.join(root, "tests/e2e/.venv/bin", name);

/** Runs a program to its end: its output, or an error that has it. */
export function run(command, args, options = {}) {
    try {
        return execFileSync(command, args, { encoding: "utf8", cwd: root, stdio: ["ignore", "pipe", "pipe"], ...options });
    } catch (error) {
        throw new Error(`${command} ${args.join(" ")}: ${error.stdout ?? ""}${error.stderr ?? error.message}`);
    }
}

/** Whether it ends with code 0. */
export function passes(command, args, options) {
    try {
        run(command, args, options);
        return true;
    } catch {
        return false;
    }
}

/** All that `kubectl apply -k conf/kubernetes` would apply, as text; the secrets are filled in. */
export function rendered(directory) {
    const folder = path.join(directory, "kubernetes");
    fs.cpSync(path.join(root, "conf/kubernetes"), folder, { recursive: true });
    for (const name of fs.readdirSync(folder).filter((name) => name.endsWith(".example"))) {
        const filled = fs.readFileSync(path.join(folder, name), "utf8").replace(/=$/gm, "=not-a-secret-but-as-long");
        fs.writeFileSync(path.join(folder, name.replace(/\.example$/, "")), filled);
    }
    // The kubectl of Debian 12 knows `envs`, of which we have one at a time, by its older name.
    if (/GitVersion:"v1\.(1\d|20)\./.test(run("kubectl", ["version", "--client"]))) {
        const file = path.join(folder, "kustomization.yaml");
        fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(/envs: \[(.*)\]/g, "env: $1"));
    }
    return run("kubectl", ["kustomize", folder]);
}

/** The manifests in a text. */
export const manifests = (text) => parseAllDocuments(text).map((document) => document.toJS()).filter(Boolean);

/** The one manifest of this kind and name. */
export function manifest(all, kind, name) {
    const found = all.filter((one) => one.kind === kind && (one.metadata.name === name || one.metadata.name.startsWith(`${name}-`) && /-[a-z0-9]{10}$/.test(one.metadata.name)));
    if (found.length !== 1) throw new Error(`${found.length} manifests ${kind} ${name}`);
    return found[0];
}

/** The unit files. */
export const units = fs.readdirSync(path.join(root, "conf/systemd")).filter((name) => name.endsWith(".service"));

/** All values of a key of a unit. */
export const unitValues = (unit, key) => [...read(`conf/systemd/${unit}`).matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value]) => value);

/** The metrics of docs/metrics.md: their type, their labels, and what values those may have, where that is said. */
export function documented() {
    const text = read("docs/metrics.md");
    const metrics = new Map();
    for (const [, name, type, labels] of text.matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*) \|/gm)) {
        metrics.set(name, { type, labels: new Map([...labels.matchAll(/`(\w+)`/g)].map(([, label]) => [label, null])) });
    }
    // `label` | values, for all that have it; `label` of `metric` and `metric` | values.
    for (const [, label, some, list] of text.matchAll(/^\| `(\w+)`(?: of ([^|]*))? \| (`.*`) \|/gm)) {
        const [wanted, values] = [some ?? "", list].map((text) => new Set([...text.matchAll(/`(\w+)`/g)].map(([, word]) => word)));
        for (const [name, { labels }] of metrics) {
            if ((wanted.has(name) || wanted.size === 0) && labels.has(label) && !labels.get(label)) labels.set(label, values);
        }
    }
    return metrics;
}
