// The configs that the documents show are right: pilotfish checks them.
import assert from "node:assert/strict";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";

import { Child } from "../lib/processes.mjs";
import { pilotfish, root } from "../lib/programs.mjs";
import { certify } from "../lib/tunnel.mjs";

/** Whole configs (those with a listener) in fenced blocks of a document. */
function configsOf(file) {
    const text = fs.readFileSync(path.join(root, file), "utf8");
    return [...text.matchAll(/```toml\n(.*?)```/gs)].map(([, block]) => block).filter((block) => block.includes("[[listener]]"));
}

describe("configs in the documents", { timeout: 30_000 }, () => {
    let directory;
    before(() => {
        directory = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-documents-"));
        // What the documents name has to be there: tokens, and the keys of a login service.
        for (const name of ["alice", "bob-1", "bob-2"]) fs.writeFileSync(path.join(directory, name), randomUUID());
        const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
        const key = { ...publicKey.export({ format: "jwk" }), kid: "1", alg: "RS256", use: "sig" };
        const by = certify(directory, "clients-ca");
        certify(directory, "backends-ca");
        certify(directory, "proxy", { by });
        fs.writeFileSync(path.join(directory, "jwks.json"), JSON.stringify({ keys: [key] }));
    });
    after(() => fs.rmSync(directory, { recursive: true, force: true }));

    for (const name of ["README.md", "docs/operations.md"]) {
        it(`${name} shows only what passes the check`, async () => {
            const configs = configsOf(name);
            assert.ok(configs.length > 0);
            for (const config of configs) {
                const file = path.join(directory, "pilotfish.toml");
                fs.writeFileSync(file, config.replaceAll(/"\/(run\/secrets|etc\/pilotfish)\//g, `"${directory}/`));
                const names = ["CLI_TOKEN", "PILOTFISH_CLIENT_TOKEN", "ALICE_TOKEN", "BOB_TOKEN", "LAB_TOKEN"];
                const env = Object.fromEntries(names.map((name) => [name, randomUUID()]));
                const child = new Child("pilotfish check", pilotfish, ["check", file], { env });
                const { code } = await child.exited;
                assert.equal(code, 0, `${child.lines.join("\n")}\n${config}`);
            }
        });
    }
});
