// Runs inside a Copilot CLI that has no identity yet. COPILOT_CLI_DIST_DIR, a variable of the CLI's own, makes it load this file as its
// program. It loads the real one, whose first step waits until we are told who we are: by then all that is slow is done, and nothing that is anybody's was read.
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { createRequire } from "node:module";

const ear = Number(process.env.PILOTFISH_SPARE_FD);
const caches = [process.env.COPILOT_PKG_CACHE_HOME, process.env.COPILOT_CACHE_HOME, path.join(os.homedir(), ".cache", "copilot")];
const platform = `${process.platform}-${process.arch}`;
const program = caches
    .filter(Boolean)
    .map((folder) => path.join(folder, "pkg", platform, String(process.env.COPILOT_CLI_BINARY_VERSION)))
    .find((folder) => fs.existsSync(path.join(folder, "index.js")));
if (!program) throw new Error("pilotfish: the files of this CLI are not unpacked");

// The first of these that is called stops the program: the arguments are read (for the second time), or a setting, or a home is looked for.
const GATES = {
    "cli-native.node": { cliParse: 2 },
    "runtime.node": { settingsAddEnvVarNamesToFilterFromShellsAndMcp: 1, globalStateLoadForContext: 1, pathOsHomeDir: 1, resolveCopilotHome: 1, authDirectLookupEnvKeys: 1 },
};

let known = false;
function becomeSomebody() {
    if (known) return;
    known = true;
    fs.writeSync(ear, "ready\n");
    const chunks = [];
    const chunk = Buffer.alloc(64 * 1024);
    while (chunks.at(-1)?.at(-1) !== 10) {
        const length = fs.readSync(ear, chunk, 0, chunk.length, null);
        if (length === 0) process.exit(0);
        chunks.push(Buffer.from(chunk.subarray(0, length)));
    }
    const { set, unset, uid, gid, folder } = JSON.parse(Buffer.concat(chunks).toString());
    for (const name of unset) delete process.env[name];
    Object.assign(process.env, set);
    process.env.PWD = folder;
    showEnvironment();
    if (uid !== null) {
        process.setgroups([gid]);
        process.setgid(gid);
        process.setuid(uid);
    }
    fs.mkdirSync(process.env.TMPDIR ?? folder, { recursive: true, mode: 0o700 });
    process.chdir(folder);
    fs.writeSync(ear, "adopted\n");
    // The kernel takes the leash off when the user changes. The guard's end of the socket is one too.
    const guard = new net.Socket({ fd: ear });
    guard.on("error", () => {}).on("close", () => process.kill(process.pid, "SIGKILL"));
    guard.unref().resume();
}

// /proc/PID/environ shows what stood there at the start, which is nobody's. The room that was left there takes what is true now.
function showEnvironment() {
    const names = Object.keys(process.env);
    const block = Buffer.from(names.map((name) => `${name}=${process.env[name]}\0`).join(""));
    const stat = fs.readFileSync("/proc/self/stat", "latin1");
    const [start, end] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(47, 49).map(Number);
    if (!(end - start > block.length)) return;
    // Each variable gets a place elsewhere, so that nobody looks at the old one any more.
    for (const name of names) process.env[name] = String(process.env[name]);
    const memory = fs.openSync("/proc/self/mem", "r+");
    fs.writeSync(memory, Buffer.concat([block, Buffer.alloc(end - start - block.length)]), 0, end - start, start);
    fs.closeSync(memory);
}

const load = createRequire(import.meta.url);
for (const [file, names] of Object.entries(GATES)) {
    const module = load(path.join(program, "prebuilds", platform, file));
    for (const [name, call] of Object.entries(names)) {
        const real = module[name];
        if (typeof real !== "function") throw new Error(`pilotfish: this version of the CLI cannot wait: it has no ${name}`);
        let calls = 0;
        module[name] = function (...args) {
            calls += 1;
            if (calls >= call) becomeSomebody();
            return real.apply(this, args);
        };
        if (module[name] === real) throw new Error("pilotfish: this version of the CLI cannot wait");
    }
}
process.env.COPILOT_CLI_RESOLVED_DIST_DIR = program;
delete process.env.COPILOT_CLI_DIST_DIR;
delete process.env.PILOTFISH_SPARE_FD;
delete process.env.PILOTFISH_SPARE_ROOM;
await import(path.join(program, "index.js"));
