// A server with the model inside, on a port of its own; its end must be orderly.
import { spawn } from "node:child_process";
import assert from "node:assert/strict";

export async function serve(...options) {
    const server = spawn(process.env.FALCONER, ["serve", "--port", "0", "--no-store", ...options]);
    let said = "", errors = "";
    server.stderr.on("data", (data) => (errors += data));
    const address = await new Promise((resolve, reject) => {
        server.on("exit", () => reject(new Error(`did not start: ${said}${errors}`)));
        server.stdout.on("data", (data) => {
            said += data;
            const found = /at (http:\/\/[^ ]+:\d+)\n/.exec(said);
            if (found) resolve(found[1]);
        });
    });
    const ended = new Promise((resolve) => server.on("exit", (code) => resolve(code)));
    return {
        address,
        async stop() {
            server.kill("SIGTERM");
            assert.equal(await ended, 0, errors);
            assert.doesNotMatch(errors, /Sanitizer|runtime error/);
        },
    };
}

export async function collect(stream) {
    const all = [];
    for await (const one of stream) all.push(one);
    return all;
}

export const system = { role: "system", content: "You are Alfred." };
export const cat = "My cat is called Minka.";
export const catAnswer = "Your cat is called Minka. I shall remember it.";
