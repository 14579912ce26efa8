// Runs the suites one after the other and ends with the line "N passed, N failed".
//   node run.mjs [PART OF A NAME ...]    SUITE=long: everything again and again, and more of it    TARGET=direct: without pilotfish
//   TUNNEL=mtls: through `pilotfish tunnel`, with certificates on both sides
import fs from "node:fs";
import path from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

const suites = path.join(path.dirname(fileURLToPath(import.meta.url)), "suites");
const wanted = process.argv.slice(2);
/** Suites about pilotfish itself have nothing to say about a bare CLI. */
const needPilotfish = /^(conversation-3|ping|spread|backend-death|drain|hang|quickstart|wall|move|client-loss|cleanup|ephemeral|limits|dedicated|discovery|turn-locks|proxies|proxy-death|store-loss|reference|deployment|topology|tunnel)\b/;

const names = fs.readdirSync(suites).filter((name) => name.endsWith(".test.mjs")).sort();
const chosen = names
    .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
    .filter((name) => process.env.TARGET !== "direct" || !needPilotfish.test(name));
const rounds = process.env.SUITE === "long" ? Number(process.env.ROUNDS ?? 5) : 1;

const counts = { passed: 0, failed: 0 };
for (let round = 1; round <= rounds; round++) await runOnce();
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;

async function runOnce() {
    // One at a time: each suite has a fleet of its own, and the machine has two cores.
    const stream = run({ files: chosen.map((name) => path.join(suites, name)), concurrency: 1 });
    stream.on("test:pass", ({ details }) => details.type !== "suite" && counts.passed++);
    stream.on("test:fail", ({ details }) => details.type !== "suite" && counts.failed++);
    const report = stream.compose(new spec());
    report.pipe(process.stdout, { end: false });
    await new Promise((resolve) => report.once("end", resolve));
}
