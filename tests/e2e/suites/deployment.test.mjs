// The files for containers, Kubernetes and systemd pass their own checkers. No container engine is needed.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";

import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";
import { parse } from "yaml";

import { dockerfile, services } from "../lib/compose.mjs";
import { dockerfiles, manifest, manifests, passes, python, read, rendered, run, units } from "../lib/deployment.mjs";
import { root } from "../lib/programs.mjs";

/** The oldest and the newest Kubernetes that the manifests are held against; kubernetes-validate has the schemas. */
const KUBERNETES = ["1.30", "1.36"];
/** By `systemd-analyze security`, from 0 to 10. */
const EXPOSURE = 2;

describe("deployment files", { timeout: 300_000 }, () => {
    let directory;
    before(() => (directory = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-deployment-"))));
    after(() => fs.rmSync(directory, { recursive: true, force: true }));

    describe("containers", () => {
        for (const file of dockerfiles) {
            it(`${file} passes hadolint`, () => run(python("hadolint"), ["--failure-threshold", "style", file]));

            it(`${file} is pinned and runs as nobody in particular`, () => {
                const { froms, user, health } = dockerfile(file);
                for (const from of froms) assert.match(from, /^[a-z]+:\d+\.\d+(\.\d+)?(-\w+)*$/, from);
                assert.match(user, /^[1-9]\d+:[1-9]\d+$/);
                assert.ok(health.length > 0);
            });
        }

        it("docker-compose.yml passes docker-compose config", () => {
            const env = { ...process.env, CLI_TOKEN: "not-a-secret" };
            run("docker-compose", ["--file", "docker-compose.yml", "config", "--quiet"], { env });
            const { CLI_TOKEN: _, ...without } = env;
            assert.ok(!passes("docker-compose", ["--file", "docker-compose.yml", "config", "--quiet"], { env: without }), "nobody may forget the token");
        });

        it("what docker-compose.yml mounts is there", () => {
            const files = services().flatMap(({ volumes }) => volumes.filter(({ file }) => file).map(({ source }) => source));
            assert.ok(files.length >= 4);
            for (const file of files) assert.ok(fs.existsSync(path.join(root, file)), file);
        });

        it("the images are built from what .dockerignore lets through", () => {
            const context = path.join(directory, "context");
            const let_through = read(".dockerignore").split("\n").filter((line) => line.startsWith("!")).map((line) => line.slice(1));
            for (const file of dockerfiles) {
                for (const copied of dockerfile(file).copies) {
                    assert.ok(let_through.some((open) => copied === open || copied.startsWith(`${open}/`)), `${file} copies ${copied}`);
                    fs.cpSync(path.join(root, copied), path.join(context, copied), { recursive: true });
                }
            }
            // Everything is there that Cargo.toml names.
            run("cargo", ["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"], { cwd: context, maxBuffer: 64 << 20 });
        });

        for (const script of ["conf/docker/copilot-answers", "conf/docker/copilot-deserted"]) {
            it(`${script} is a program that bash can read`, () => {
                assert.ok(fs.statSync(path.join(root, script)).mode & 0o111);
                run("bash", ["-n", script]);
            });
        }
    });

    describe("Kubernetes", () => {
        let text, all;
        before(() => {
            text = rendered(directory);
            all = manifests(text);
            fs.writeFileSync(path.join(directory, "all.yaml"), text);
        });

        for (const version of KUBERNETES) {
            it(`the manifests fit the schemas of Kubernetes ${version}`, () => {
                const said = run(python("kubernetes-validate"), ["--strict", "-k", version, path.join(directory, "all.yaml")]);
                // It says nothing bad of what it has no schema for.
                assert.equal(said.match(/ passed for resource /g).length, all.length - 1, said);
                assert.match(said, /Couldn't find schema for kind ServiceMonitor/);
            });
        }

        it("the ServiceMonitor fits the operator's schema", () => {
            const monitor = manifest(all, "ServiceMonitor", "pilotfish");
            new ServiceMonitor(monitor).validate();
            // The schema lets unknown keys through.
            const known = { spec: ["selector", "endpoints"], endpoints: ["port", "path", "interval"] };
            assert.deepEqual(Object.keys(monitor.spec).sort(), known.spec.sort());
            for (const endpoint of monitor.spec.endpoints) assert.deepEqual(Object.keys(endpoint).sort(), known.endpoints.sort());
        });

        it("there is all that is promised", () => {
            const kinds = all.map(({ kind, metadata }) => `${kind} ${metadata.name.replace(/-[a-z0-9]{10}$/, "")}`);
            for (const wanted of [
                "Namespace pilotfish", "StatefulSet copilot-cli", "Service copilot-cli", "PersistentVolumeClaim copilot-home",
                "PodDisruptionBudget copilot-cli", "Deployment pilotfish", "Service pilotfish", "Service pilotfish-admin",
                "PodDisruptionBudget pilotfish", "Deployment redis", "Service redis", "ConfigMap pilotfish", "Secret connection",
                "Secret clients", "Secret github", "ServiceMonitor pilotfish", "HorizontalPodAutoscaler copilot-cli",
                "HorizontalPodAutoscaler pilotfish", "NetworkPolicy nobody", "NetworkPolicy pilotfish", "NetworkPolicy copilot-cli",
                "NetworkPolicy redis",
            ]) assert.ok(kinds.includes(wanted), `${wanted} of ${kinds}`);
            assert.equal(manifest(all, "Service", "copilot-cli").spec.clusterIP, "None");
            assert.deepEqual(manifest(all, "PersistentVolumeClaim", "copilot-home").spec.accessModes, ["ReadWriteMany"]);
        });

        it("every pod is one that the restricted standard lets in", () => {
            for (const { metadata, spec } of all.filter(({ kind }) => /^(StatefulSet|Deployment)$/.test(kind))) {
                const pod = spec.template.spec;
                assert.equal(pod.automountServiceAccountToken, false, metadata.name);
                assert.equal(pod.securityContext.runAsNonRoot, true, metadata.name);
                assert.equal(pod.securityContext.seccompProfile.type, "RuntimeDefault", metadata.name);
                for (const { securityContext, resources } of pod.containers) {
                    assert.deepEqual(securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } });
                    assert.ok(resources.requests.cpu && resources.requests.memory && resources.limits.memory, metadata.name);
                }
            }
        });

        it("no secret has a value in the repository", () => {
            assert.match(read(".gitignore"), /^\/conf\/kubernetes\/\*\.env$/m);
            for (const name of fs.readdirSync(path.join(root, "conf/kubernetes")).filter((name) => name.endsWith(".example"))) {
                assert.match(read(`conf/kubernetes/${name}`), /^(#.*\n)*\w+=\n$/);
            }
        });
    });

    describe("systemd", () => {
        /** The units with programs that are there, since that is checked, too. */
        const adapted = () => {
            const folder = fs.mkdtempSync(path.join(directory, "units-"));
            for (const unit of units) {
                const text = read(`conf/systemd/${unit}`).replace(/\/usr\/local\/bin\/pilotfish|\/opt\/copilot\/copilot/g, "/bin/true");
                fs.writeFileSync(path.join(folder, unit.replace("@.", "@4401.")), text);
            }
            return fs.readdirSync(folder).map((unit) => path.join(folder, unit));
        };

        it("the units pass systemd-analyze verify", () => {
            assert.equal(units.length, 3);
            // What it does not know it only complains of.
            assert.equal(run("sh", ["-c", 'exec "$@" 2>&1', "sh", "systemd-analyze", "verify", "--man=no", ...adapted()]), "");
        });

        it("they shut their programs in", () => {
            for (const unit of adapted()) {
                run("systemd-analyze", ["security", "--offline=yes", "--no-pager", `--threshold=${EXPOSURE * 10}`, unit]);
            }
        });

        it("the user of the CLIs can be made", () => {
            run("systemd-sysusers", ["--dry-run", `--root=${directory}`, path.join(root, "conf/systemd/pilotfish.sysusers")]);
        });
    });

    describe("Prometheus", () => {
        it("the config and its rules pass promtool", () => run("promtool", ["check", "config", "conf/prometheus/prometheus.yml"]));

        it("each alert goes off when it should, and not before", () => {
            const rules = path.join(root, "conf/prometheus/rules.yml");
            const { groups: [{ rules: alerts }] } = parse(fs.readFileSync(rules, "utf8"));
            // For each alert a series in trouble and one that is well; both until the 30th minute.
            const labels = 'instance="a",job="pilotfish",pool="p"';
            const cases = {
                PilotfishGone: [`up{${labels}}`, "0", "1"],
                PilotfishNoBackend: [`pilotfish_backend_up{${labels},backend="b"}`, "0", "1"],
                PilotfishBackendDown: [`pilotfish_backend_state{${labels},backend="b",state="down"}`, "1", "0"],
                PilotfishStoreDown: [`pilotfish_store_up{${labels}}`, "0", "1"],
                PilotfishLeasesLost: [`pilotfish_leases_lost_total{${labels},reason="expired"}`, "0+1", "5"],
                PilotfishSessionsWaitForRoom: [`pilotfish_admission_waiting{${labels}}`, "2", "0"],
                PilotfishSessionsLost: [`pilotfish_session_moves_total{${labels},cause="lost",outcome="lost"}`, "0+1", "5"],
                PilotfishTurnsStall: [`pilotfish_stalled_turns_total{${labels},outcome="ended"}`, "0+1", "5"],
                PilotfishDiscoveryFails: [`pilotfish_discovery_last_success_timestamp_seconds{${labels}}`, "0", "0+60"],
                PilotfishOwnCliFails: [`pilotfish_instances{${labels},state="failing"}`, "1", "0"],
                PilotfishFilesRunOut: [`process_open_fds{${labels}}`, "900", "10"],
            };
            assert.deepEqual(Object.keys(cases).sort(), alerts.map(({ alert }) => alert).sort());
            const limit = { series: `process_max_fds{${labels}}`, values: "1000x60" };
            const test = (alert, values, fires) => ({
                interval: "1m",
                input_series: [{ series: cases[alert][0], values: `${values.includes("+") ? values : `${values}+0`}x60` }, limit],
                promql_expr_test: [{ expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`, eval_time: "30m", exp_samples: [{ labels: "{}", value: fires ? 1 : 0 }] }],
            });
            const tests = Object.entries(cases).flatMap(([alert, [, bad, good]]) => [test(alert, bad, true), test(alert, good, false)]);
            const file = path.join(directory, "alerts.json");
            fs.writeFileSync(file, JSON.stringify({ rule_files: [rules], evaluation_interval: "1m", tests }));
            run("promtool", ["test", "rules", file]);
        });
    });
});
