// The files for containers, Kubernetes and systemd say only what the programs understand, and all of them say the same.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";

import { parse } from "yaml";

import { composeFile, dockerfile, seconds, services } from "../lib/compose.mjs";
import { configs, documented, manifest, manifests, read, rendered, secretsOf, units, unitValues } from "../lib/deployment.mjs";
import { copilot, pilotfish, root } from "../lib/programs.mjs";

const SECRET = "not-a-secret-but-as-long";

describe("words in deployment files", { timeout: 120_000 }, () => {
    let directory, all;
    before(() => {
        directory = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-words-"));
        all = manifests(rendered(directory));
    });
    after(() => fs.rmSync(directory, { recursive: true, force: true }));

    /** The first container of a manifest's pods. */
    const container = (kind, name) => manifest(all, kind, name).spec.template.spec.containers[0];
    const pod = (kind, name) => manifest(all, kind, name).spec.template.spec;

    /** All command lines of a program in all files, as words; `where` they are is for the message. */
    function commands(program) {
        const found = [];
        const note = (where, words) => {
            const at = (words ?? []).findIndex((word) => path.basename(word) === program);
            if (at >= 0) found.push({ where, words: words.slice(at + 1) });
        };
        for (const file of ["Dockerfile", "conf/docker/copilot-cli.Dockerfile"]) {
            const { entrypoint, cmd, health } = dockerfile(file);
            note(file, [...entrypoint, ...cmd]);
            note(`${file}: health`, health);
        }
        for (const { name, entrypoint, command, health } of services()) {
            note(`docker-compose.yml: ${name}`, [...entrypoint, ...command]);
            note(`docker-compose.yml: ${name}: health`, health);
        }
        for (const { kind, metadata, spec } of all.filter(({ spec }) => spec?.template)) {
            for (const one of spec.template.spec.containers) {
                const image = { pilotfish: "Dockerfile", "copilot-cli": "conf/docker/copilot-cli.Dockerfile" }[one.image.split(":")[0]];
                const { entrypoint, cmd } = image ? dockerfile(image) : { entrypoint: [], cmd: [] };
                note(`${kind} ${metadata.name}`, [...(one.command ?? entrypoint), ...(one.args ?? cmd)]);
                for (const probe of [one.startupProbe, one.readinessProbe, one.livenessProbe, one.lifecycle?.preStop]) {
                    note(`${kind} ${metadata.name}: probe`, probe?.exec?.command);
                }
            }
        }
        for (const unit of units) {
            for (const key of ["ExecStart", "ExecReload", "ExecStop", "ExecStartPre"]) {
                for (const line of unitValues(unit, key)) note(`${unit}: ${key}`, line.split(" "));
            }
        }
        return found;
    }

    describe("pilotfish", () => {
        it("knows every subcommand and flag", () => {
            const lines = commands("pilotfish");
            assert.ok(lines.length >= 8, `${lines.length}`);
            for (const { where, words } of lines) {
                const [word, ...rest] = words;
                const help = execFileSync(pilotfish, [word, "--help"], { encoding: "utf8" });
                const known = new Set([...help.matchAll(/^\s+(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag));
                for (const flag of rest.filter((text) => text.startsWith("-"))) assert.ok(known.has(flag), `${where}: pilotfish ${word} ${flag}`);
            }
        });

        it("reads the command lines as they stand", () => {
            for (const { where, words } of commands("pilotfish")) {
                // Whatever it then lacks: it understood what it was told (exit code 2 is for what it did not, and of `status`).
                const adapted = words.map((word) =>
                    word.replace("/etc/pilotfish", path.join(directory, "none")).replace("127.0.0.1:4321", "127.0.0.1:0").replace("${PILOTFISH}", "127.0.0.1:9"),
                );
                const { status, stderr } = spawnSync(pilotfish, adapted, { encoding: "utf8", timeout: 20_000 });
                assert.ok(status === 1 || status === 2, `${where}: it should not find its files`);
                assert.doesNotMatch(stderr, /unexpected argument|unrecognized subcommand|required arguments|invalid value|^Usage:/m, where);
            }
        });

        for (const config of configs) {
            it(`accepts ${config} without a warning that it does not know of`, () => {
                const env = Object.fromEntries(secretsOf(config).map((name) => [name, SECRET]));
                const { status, stderr } = spawnSync(pilotfish, ["check", path.join(root, config)], { encoding: "utf8", env: { ...process.env, ...env } });
                assert.equal(status, 0, stderr);
                // Containers listen for others; who those are is the business of networks and policies.
                const others = stderr.split("\n").filter((line) => line && !/warning: (admin|listener\[0\])\.bind: found 0\.0\.0\.0:/.test(line));
                assert.deepEqual(others, []);
            });
        }

        it("gets the secrets that its config names", () => {
            const given = {
                "conf/docker/pilotfish.toml": Object.keys(services().find(({ name }) => name === "pilotfish-1").env),
                "conf/kubernetes/pilotfish.toml": container("Deployment", "pilotfish").env.map(({ name }) => name),
                "conf/systemd/pilotfish.toml": secretsIn("pilotfish.service"),
            };
            for (const config of configs) {
                assert.ok(secretsOf(config).length > 0);
                for (const name of secretsOf(config)) assert.ok(given[config].includes(name), `${config}: ${name}`);
            }
        });

        it("is given the config that is meant for it", () => {
            for (const { where, words } of commands("pilotfish")) {
                if (words.includes("--config")) assert.equal(words[words.indexOf("--config") + 1], "/etc/pilotfish/pilotfish.toml", where);
            }
            for (const { volumes } of services().filter(({ name }) => name.startsWith("pilotfish"))) {
                assert.deepEqual(volumes.map(({ source, target }) => [source, target]), [["./conf/docker/pilotfish.toml", "/etc/pilotfish/pilotfish.toml"]]);
            }
            const map = manifest(all, "ConfigMap", "pilotfish");
            assert.equal(map.data["pilotfish.toml"], read("conf/kubernetes/pilotfish.toml"));
            const [volume] = pod("Deployment", "pilotfish").volumes;
            assert.equal(volume.configMap.name, map.metadata.name);
            assert.equal(container("Deployment", "pilotfish").volumeMounts[0].mountPath, "/etc/pilotfish");
        });
    });

    describe("the CLI", () => {
        it("has the same flags everywhere, and those that it needs", () => {
            const lines = commands("copilot");
            assert.equal(lines.length, 6, JSON.stringify(lines.map(({ where }) => where)));
            for (const { where, words } of lines) {
                assert.ok(words.includes("--headless") && words.includes("--no-auto-update"), where);
                assert.equal(words[words.indexOf("--session-idle-timeout") + 1], "7200", where);
                const host = where.endsWith(".service: ExecStart") ? "127.0.0.1" : "0.0.0.0";
                assert.equal(words[words.indexOf("--host") + 1], host, where);
            }
        });

        it("leaves idle sessions to pilotfish", () => {
            for (const config of configs) {
                const idle = /idle_timeout = "(\w+)"/.exec(read(config))[1];
                assert.ok(seconds(idle) < 7200, `${config}: the CLI would close sessions first`);
            }
        });

        it("knows its environment variables", () => {
            const help = execFileSync(copilot, ["help", "environment"], { encoding: "utf8" });
            const names = [
                ...services().filter(({ name }) => name.startsWith("cli-")).flatMap(({ env }) => Object.keys(env)),
                ...container("StatefulSet", "copilot-cli").envFrom.flatMap(({ secretRef }) => Object.keys(manifest(all, "Secret", secretRef.name.replace(/-[a-z0-9]{10}$/, "")).data)),
                ...unitValues("copilot-cli@.service", "Environment").flatMap((line) => line.split(" ").map((pair) => pair.split("=")[0])),
                ...secretsIn("copilot-cli@.service"),
            ];
            // suites/deployment-copilot.test.mjs shows that these do what they should; its help does not name them.
            for (const name of new Set(names)) {
                if (!["COPILOT_CONNECTION_TOKEN", "COPILOT_PKG_CACHE_HOME", "HOME"].includes(name)) assert.ok(help.includes(`\`${name}\``), name);
            }
            for (const needed of ["COPILOT_CONNECTION_TOKEN", "COPILOT_GITHUB_TOKEN", "COPILOT_HOME"]) assert.ok(names.includes(needed), needed);
        });
    });

    describe("together", () => {
        const port = (config, section) => Number(new RegExp(`\\[${section}\\][^[]*?bind = "[^"]*:(\\d+)"`, "s").exec(read(config))?.[1] ?? 0);

        it("the ports are the same everywhere", () => {
            const [sdk, admin] = [port("conf/docker/pilotfish.toml", "\\[listener\\]"), port("conf/docker/pilotfish.toml", "admin")];
            assert.deepEqual([sdk, admin], [4321, 4320]);
            assert.deepEqual([port("conf/kubernetes/pilotfish.toml", "\\[listener\\]"), port("conf/kubernetes/pilotfish.toml", "admin")], [sdk, admin]);
            assert.deepEqual(dockerfile("Dockerfile").exposed, [admin, sdk]);
            const [cli] = dockerfile("conf/docker/copilot-cli.Dockerfile").exposed;
            for (const { where, words } of [...commands("copilot"), ...commands("copilot-answers"), ...commands("copilot-deserted")]) {
                const said = words.includes("--port") ? words[words.indexOf("--port") + 1] : words[0];
                assert.equal(said, where.endsWith("ExecStart") ? "%i" : String(cli), where);
            }
            for (const service of services().filter(({ name }) => name.startsWith("pilotfish"))) {
                assert.deepEqual(service.ports.map(([, inside]) => inside), [sdk, admin]);
            }
            for (const [service, name, wanted] of [["pilotfish", "sdk", sdk], ["pilotfish-admin", "admin", admin], ["copilot-cli", "sdk", cli], ["redis", "redis", 6379]]) {
                const [{ port, targetPort }] = manifest(all, "Service", service).spec.ports;
                assert.deepEqual([port, targetPort], [wanted, name], service);
            }
            for (const [kind, name, wanted] of [["Deployment", "pilotfish", { sdk, admin }], ["StatefulSet", "copilot-cli", { sdk: cli }], ["Deployment", "redis", { redis: 6379 }]]) {
                const ports = container(kind, name).ports.map(({ name, containerPort }) => [name, containerPort]);
                assert.deepEqual(Object.fromEntries(ports), wanted, name);
            }
            const { scrape_configs: [{ static_configs: [{ targets }] }] } = parse(read("conf/prometheus/prometheus.yml"));
            assert.deepEqual(targets, services().filter(({ name }) => name.startsWith("pilotfish")).map(({ name }) => `${name}:${admin}`));
            assert.equal(manifest(all, "ServiceMonitor", "pilotfish").spec.endpoints[0].port, "admin");
            assert.match(unitValues("pilotfish-tunnel.service", "ExecStart")[0], new RegExp(`--listen 127.0.0.1:${sdk} `));
        });

        it("every address in a config is somebody's", () => {
            const inCompose = services().map(({ name }) => name);
            for (const [, host] of read("conf/docker/pilotfish.toml").matchAll(/"([a-z][\w-]*):\d+"/g)) assert.ok(inCompose.includes(host), host);
            const inKubernetes = all.filter(({ kind }) => kind === "Service").map(({ metadata }) => metadata.name);
            const hosts = [...read("conf/kubernetes/pilotfish.toml").matchAll(/"([a-z_][\w.-]*):\d+"|dns = "([^"]+)"/g)].map(([, address, name]) => address ?? name);
            assert.ok(hosts.length >= 2);
            for (const host of hosts) assert.ok(host.split(".").some((label) => inKubernetes.includes(label)), host);
            const [service] = hosts.filter((host) => host.startsWith("_"));
            const [{ name, protocol = "TCP" }] = manifest(all, "Service", "copilot-cli").spec.ports;
            assert.equal(service, `_${name}._${protocol.toLowerCase()}.copilot-cli`);
            for (const [, instance] of read("conf/systemd/pilotfish.toml").matchAll(/127\.0\.0\.1:(44\d\d)/g)) assert.match(instance, /^440[123]$/);
        });

        it("the containers of Kubernetes get the right labels, selectors and claims", () => {
            for (const service of all.filter(({ kind }) => kind === "Service")) {
                const { selector, ports } = service.spec;
                const target = all.find(({ spec }) => spec?.template && Object.entries(selector).every(([key, value]) => spec.template.metadata.labels[key] === value));
                assert.ok(target, service.metadata.name);
                const names = target.spec.template.spec.containers[0].ports.map(({ name }) => name);
                for (const { targetPort } of ports) assert.ok(names.includes(targetPort), `${service.metadata.name}: ${targetPort}`);
            }
            // By numbers: not every network knows the names of ports that it lets out to.
            const listens = (labels, port) => all.some(({ spec }) => {
                const pods = spec?.template;
                return pods && Object.entries(labels).every(([key, value]) => pods.metadata.labels[key] === value) && pods.spec.containers[0].ports.some(({ containerPort }) => containerPort === port);
            });
            for (const { metadata, spec } of all.filter(({ kind }) => kind === "NetworkPolicy")) {
                for (const { ports } of spec.ingress ?? []) for (const { port } of ports) assert.ok(listens(spec.podSelector.matchLabels, port), `${metadata.name}: ${port}`);
                for (const { to, ports } of spec.egress ?? []) {
                    const own = to.filter(({ podSelector, namespaceSelector }) => podSelector && !namespaceSelector);
                    for (const { podSelector } of own) for (const { port } of ports) assert.ok(listens(podSelector.matchLabels, port), `${metadata.name}: to ${port}`);
                }
            }
            for (const budget of all.filter(({ kind }) => kind === "PodDisruptionBudget")) {
                const [[key, value]] = Object.entries(budget.spec.selector.matchLabels);
                assert.ok(all.some(({ spec }) => spec?.template?.metadata.labels[key] === value), budget.metadata.name);
            }
            for (const { spec } of all.filter(({ kind }) => kind === "HorizontalPodAutoscaler")) manifest(all, spec.scaleTargetRef.kind, spec.scaleTargetRef.name);
            assert.equal(manifest(all, "StatefulSet", "copilot-cli").spec.serviceName, "copilot-cli");
            const monitor = manifest(all, "ServiceMonitor", "pilotfish").spec.selector.matchLabels;
            const monitored = all.filter(({ kind, metadata }) => kind === "Service" && Object.entries(monitor).every(([key, value]) => metadata.labels[key] === value));
            assert.deepEqual(monitored.map(({ metadata }) => metadata.name), ["pilotfish-admin"]);
        });

        it("only pilotfish reaches the CLIs, and no CLI reaches pilotfish", () => {
            const policy = (name) => manifest(all, "NetworkPolicy", name).spec;
            assert.deepEqual(policy("nobody"), { podSelector: {}, policyTypes: ["Ingress", "Egress"] });
            assert.deepEqual(policy("copilot-cli").ingress.map(({ from }) => from), [[{ podSelector: { matchLabels: { "app.kubernetes.io/name": "pilotfish" } } }]]);
            const [toDns, toInternet] = policy("copilot-cli").egress;
            assert.deepEqual(toDns.ports.map(({ port }) => port), [53, 53]);
            assert.ok(toInternet.to[0].ipBlock.except.includes("10.0.0.0/8"));
            for (const { from } of policy("pilotfish").ingress) assert.ok(from.every(({ namespaceSelector }) => namespaceSelector), "nobody of its own namespace");
        });

        it("the versions are those of package.json and Cargo.toml", () => {
            const cli = JSON.parse(read("tests/e2e/package.json")).dependencies["@github/copilot"];
            const own = /^version = "(.*)"/m.exec(read("Cargo.toml"))[1];
            assert.equal(dockerfile("conf/docker/copilot-cli.Dockerfile").args.COPILOT_VERSION, cli);
            for (const { name, image } of services()) {
                if (name.startsWith("cli-")) assert.equal(image, `copilot-cli:${cli}`);
                if (name.startsWith("pilotfish-")) assert.equal(image, `pilotfish:${own}`);
            }
            assert.equal(container("StatefulSet", "copilot-cli").image, `copilot-cli:${cli}`);
            assert.equal(container("Deployment", "pilotfish").image, `pilotfish:${own}`);
            assert.equal(container("Deployment", "redis").image, composeFile().services.redis.image);
            for (const file of ["Dockerfile", "conf/docker/copilot-cli.Dockerfile", "conf/systemd/copilot-cli@.service"]) {
                for (const [, name, version] of read(file).matchAll(/(pilotfish|copilot-cli|@github\/copilot)[:@](\d+\.\d+\.\d+)/g)) assert.equal(version, name === "pilotfish" ? own : cli, file);
            }
            const rust = /^rust-version = "(.*)"/m.exec(read("Cargo.toml"))[1];
            assert.ok(dockerfile("Dockerfile").froms[0].startsWith(`rust:${rust}.`), "Rust");
        });

        it("whoever stops pilotfish waits for longer than its drain takes", () => {
            const drain = (config) => {
                const [, table] = read(config).split(/^\[shutdown\]$/m);
                const key = (name) => seconds(new RegExp(`${name} = "(\\w+)"`).exec(table)?.[1] ?? "0s");
                return key("drain_timeout") + key("readiness_lead");
            };
            for (const service of services().filter(({ name }) => name.startsWith("pilotfish"))) {
                assert.ok(service.grace >= drain("conf/docker/pilotfish.toml") + 5);
                assert.deepEqual(service.after.filter((name) => name !== "redis"), ["cli-1", "cli-2", "cli-3"], "the CLIs stop later");
            }
            const grace = pod("Deployment", "pilotfish").terminationGracePeriodSeconds;
            const [, pause] = container("Deployment", "pilotfish").lifecycle.preStop.exec.command;
            assert.ok(grace >= Number(pause) + drain("conf/kubernetes/pilotfish.toml") + 5);
            assert.ok(seconds(unitValues("pilotfish.service", "TimeoutStopSec")[0]) >= drain("conf/systemd/pilotfish.toml") + 5);
            assert.ok(unitValues("copilot-cli@.service", "Before").includes("pilotfish.service"));
        });

        it("a CLI's pod waits for longer than its drain takes", () => {
            const grace = pod("StatefulSet", "copilot-cli").terminationGracePeriodSeconds;
            const [, , wait] = container("StatefulSet", "copilot-cli").lifecycle.preStop.exec.command;
            const [, drain] = /^drain_timeout = "(\w+)"$/m.exec(read("conf/kubernetes/pilotfish.toml").split("[pool.copilot]")[1]);
            assert.ok(Number(wait) > seconds(drain) && grace > Number(wait) + 5, `${drain}, ${wait}, ${grace}`);
        });

        it("the CLIs share one home, which is the volume", () => {
            const home = dockerfile("conf/docker/copilot-cli.Dockerfile").env.COPILOT_HOME;
            const clis = services().filter(({ name }) => name.startsWith("cli-"));
            assert.equal(clis.length, 3);
            for (const { volumes } of clis) assert.deepEqual(volumes, [{ source: "copilot-home", target: home, file: false }]);
            const mount = container("StatefulSet", "copilot-cli").volumeMounts.find(({ name }) => name === "home");
            assert.equal(mount.mountPath, home);
            for (const config of configs) assert.match(read(config), /storage = "shared"/);
        });
    });

    /** The names of secrets in the comments above a unit's EnvironmentFile. */
    function secretsIn(unit) {
        const text = read(`conf/systemd/${unit}`);
        return [...text.matchAll(/^# .*?((?:\b[A-Z_]{5,}=\.\.\.[^\n]*)+)\n(?:EnvironmentFile=)/gm)].flatMap(([, names]) => [...names.matchAll(/([A-Z_]+)=\.\.\./g)].map(([, name]) => name));
    }
});
