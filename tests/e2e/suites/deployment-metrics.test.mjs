// The board, the alerts and the autoscaler ask for metrics, labels and label values that there are.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, it } from "node:test";

import { parse } from "yaml";

import { documented, manifests, read, rendered } from "../lib/deployment.mjs";
import { composeFile } from "../lib/compose.mjs";

const metrics = documented();
/** What Prometheus adds. */
const ADDED = ["instance", "job", "le", "namespace", "pod", "service"];

/** The metrics of an expression, each with its matchers. */
function series(expression) {
    return [...expression.matchAll(/\b((?:pilotfish|process)_\w+)(?:\{([^}]*)\})?/g)].map(([, written, selector]) => {
        const base = written.replace(/_(bucket|sum|count)$/, "");
        const name = metrics.get(base)?.type === "histogram" ? base : written;
        const matchers = [...(selector ?? "").matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(([, label, , value]) => ({ label, value }));
        return { name, matchers };
    });
}

function check(where, expression, shown = "") {
    const all = series(expression);
    for (const { name, matchers } of all) {
        const metric = metrics.get(name);
        assert.ok(metric, `${where}: ${name}`);
        for (const { label, value } of matchers) {
            assert.ok(metric.labels.has(label) || ADDED.includes(label), `${where}: ${name}{${label}}`);
            const values = metric.labels.get(label);
            for (const one of value.split("|")) if (values && !one.startsWith("$") && one) assert.ok(values.has(one), `${where}: ${name}{${label}="${one}"}`);
        }
    }
    const labels = new Set([...ADDED, ...all.flatMap(({ name }) => [...metrics.get(name).labels.keys()])]);
    const by = [...expression.matchAll(/\b(?:by|without)\s*\(([^)]*)\)/g)].flatMap(([, list]) => list.split(",").map((label) => label.trim()));
    for (const label of by) assert.ok(labels.has(label), `${where}: by ${label}`);
    for (const [, label] of shown.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)) assert.ok(labels.has(label) && (by.length === 0 || by.includes(label)), `${where}: {{${label}}}`);
    return all.length;
}

describe("metrics in deployment files", () => {
    const board = JSON.parse(read("conf/grafana/dashboards/pilotfish.json"));
    const panels = board.panels.filter(({ type }) => type !== "row");

    it("docs/metrics.md could be read", () => {
        assert.ok(metrics.size > 70);
        assert.ok(metrics.get("pilotfish_turns_total").labels.get("outcome").has("idle"));
        assert.ok(metrics.get("pilotfish_buffered_bytes").labels.get("towards").has("client"));
        assert.throws(() => check("", 'pilotfish_turns_total{outcome="idel"}'));
        assert.throws(() => check("", "sum by (outcom) (pilotfish_turns_total)"));
        assert.throws(() => check("", "pilotfish_turns"));
    });

    it("the board asks for what there is", () => {
        assert.ok(panels.length > 30);
        for (const { title, targets } of panels) for (const { expr, legendFormat } of targets) assert.ok(check(title, expr, legendFormat) > 0, title);
        for (const { name, query } of board.templating.list) {
            const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(query.query);
            assert.ok(metrics.has(metric) && (metrics.get(metric).labels.has(label) || ADDED.includes(label)), name);
        }
        for (const { name, expr } of board.annotations.list) check(name, expr);
    });

    it("the board stands as Grafana wants it", () => {
        const { datasources: [source] } = parse(read("conf/grafana/provisioning/datasources/prometheus.yml"));
        const { providers: [provider] } = parse(read("conf/grafana/provisioning/dashboards/pilotfish.yml"));
        const { grafana, prometheus } = composeFile().services;
        assert.equal(source.url, "http://prometheus:9090");
        assert.ok(prometheus.ports[0].endsWith(":9090"));
        assert.ok(grafana.volumes.some((volume) => volume.startsWith(`./conf/grafana/dashboards:${provider.options.path}:`)));
        assert.equal(grafana.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH, `${provider.options.path}/pilotfish.json`);
        for (const panel of [...panels, ...board.templating.list, ...board.annotations.list]) assert.deepEqual(panel.datasource, { type: source.type, uid: source.uid });
        const ids = board.panels.map(({ id }) => id);
        assert.equal(new Set(ids).size, ids.length);
        const taken = new Set();
        for (const { title, gridPos: { x, y, w, h } } of board.panels) {
            assert.ok(x + w <= 24, title);
            for (let across = x; across < x + w; across++) {
                for (let down = y; down < y + h; down++) {
                    assert.ok(!taken.has(`${across},${down}`), `${title} stands on another one`);
                    taken.add(`${across},${down}`);
                }
            }
        }
    });

    it("the alerts ask for what there is", () => {
        const { groups: [{ rules }] } = parse(read("conf/prometheus/rules.yml"));
        for (const { alert, expr, annotations } of rules) {
            if (expr.startsWith("up{")) assert.match(expr, /job="pilotfish"/);
            else assert.ok(check(alert, expr, annotations.summary) > 0);
        }
        assert.equal(parse(read("conf/prometheus/prometheus.yml")).scrape_configs[0].job_name, "pilotfish");
    });

    it("the autoscaler asks for what the adapter makes", () => {
        const { rules } = parse(read("conf/kubernetes/prometheus-adapter.yaml"));
        for (const { seriesQuery } of rules.custom) check("prometheus-adapter.yaml", seriesQuery.replaceAll('!=""', '=~"$x"'));
        const made = rules.custom.map(({ seriesQuery }) => seriesQuery.split("{")[0]);
        const directory = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-metrics-"));
        try {
            const scalers = manifests(rendered(directory)).filter(({ kind }) => kind === "HorizontalPodAutoscaler");
            assert.equal(scalers.length, 2);
            for (const { spec } of scalers) for (const { object, pods } of spec.metrics) assert.ok(made.includes((object ?? pods).metric.name));
        } finally {
            fs.rmSync(directory, { recursive: true, force: true });
        }
    });
});
