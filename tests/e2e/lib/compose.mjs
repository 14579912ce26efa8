// Reads docker-compose.yml and the Dockerfiles that it builds, as a container engine would.
import fs from "node:fs";
import path from "node:path";

import { parse } from "yaml";

import { root } from "./programs.mjs";

/** A service with all that its image says and the file does not. */
export function services(environment = {}) {
    const file = composeFile();
    return Object.entries(file.services).map(([name, service]) => {
        const image = service.build ? dockerfile(service.build.dockerfile ?? "Dockerfile") : { env: {}, entrypoint: [], cmd: [] };
        return {
            name,
            image: service.image,
            entrypoint: image.entrypoint,
            command: service.command ?? image.cmd,
            env: { ...image.env, ...interpolated(service.environment ?? {}, environment) },
            volumes: (service.volumes ?? []).map(volume),
            health: healthcheck(service.healthcheck) ?? image.health,
            ports: (service.ports ?? []).map((port) => port.split(":").slice(-2).map(Number)),
            networks: service.networks ?? ["default"],
            after: conditions(service.depends_on),
            grace: seconds(service.stop_grace_period ?? "10s"),
        };
    });
}

/** docker-compose.yml as it stands, with its anchors followed. */
export function composeFile() {
    return parse(fs.readFileSync(path.join(root, "docker-compose.yml"), "utf8"), { merge: true });
}

/** What the last stage of a Dockerfile says of how it runs. */
export function dockerfile(name) {
    const text = fs.readFileSync(path.join(root, name), "utf8");
    const lines = text.replace(/^\s*#.*\n/gm, "").replace(/\\\n/g, " ").split("\n").filter((line) => line.trim());
    const all = lines.map((line) => /^(\w+)\s+(.*)$/.exec(line.trim()).slice(1));
    const last = all.slice(all.findLastIndex(([word]) => word === "FROM"));
    const value = (word) => last.findLast(([found]) => found === word)?.[1];
    const health = value("HEALTHCHECK");
    return {
        text,
        froms: all.filter(([word]) => word === "FROM").map(([, from]) => from.split(/\s+/)[0]),
        args: Object.fromEntries(all.filter(([word]) => word === "ARG").map(([, arg]) => arg.split("="))),
        /** What it copies from the build context. */
        copies: all.filter(([word, rest]) => word === "COPY" && !rest.startsWith("--from")).flatMap(([, rest]) => rest.split(/\s+/).slice(0, -1)),
        env: Object.fromEntries(last.filter(([word]) => word === "ENV").flatMap(([, rest]) => rest.split(/\s+/).map((pair) => pair.split("=")))),
        user: value("USER"),
        exposed: value("EXPOSE")?.split(/\s+/).map(Number) ?? [],
        entrypoint: JSON.parse(value("ENTRYPOINT") ?? "[]"),
        cmd: JSON.parse(value("CMD") ?? "[]"),
        health: health && JSON.parse(health.slice(health.indexOf("["))),
    };
}

/** Durations such as `1m30s`, in seconds. */
export function seconds(text) {
    const units = { ms: 0.001, s: 1, m: 60, h: 3600 };
    return [...text.matchAll(/(\d+)(ms|s|m|h)/g)].reduce((sum, [, number, unit]) => sum + Number(number) * units[unit], 0);
}

function volume(text) {
    const [source, target] = text.split(":");
    return { source, target, file: source.startsWith("./") };
}

function healthcheck(check) {
    return check?.test.slice(1);
}

function conditions(dependsOn = {}) {
    return Array.isArray(dependsOn) ? dependsOn : Object.keys(dependsOn);
}

/** `${NAME:-default}` and `${NAME:?message}`. */
function interpolated(env, environment) {
    const value = (text) =>
        String(text).replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name, kind, rest) => environment[name] || (kind === "-" ? rest : ""));
    return Object.fromEntries(Object.entries(env).map(([name, text]) => [name, value(text)]));
}
