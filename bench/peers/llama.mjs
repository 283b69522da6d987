// Measures a GGUF file with the engine that the npm package node-llama-cpp carries, and prints JSON.
//   node llama.mjs PACKAGE_FOLDER FILE THREADS PROMPT GENERATE DEPTH REPEAT
// Tokens are random ids, sampling is greedy; the best of several runs counts, as in falconer-bench.
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const [folder, file, ...numbers] = process.argv.slice(2);
const [threads, prompt, generate, depth, repeat] = numbers.map(Number);
const found = createRequire(`${folder}/`).resolve("node-llama-cpp");
const {getLlama} = await import(pathToFileURL(found).href);

const llama = await getLlama({gpu: false, build: "never", logLevel: "error", maxThreads: threads});
const model = await llama.loadModel({modelPath: file});
const contextSize = Math.max(prompt, depth) + generate + 8;
const context = await model.createContext({contextSize, batchSize: 512, threads, sequences: 1});
const sequence = context.getSequence();
const tokens = Array.from({length: contextSize}, (_, i) => 1000 + (i * 7919) % 60000);

async function feed(n) {
    await sequence.clearHistory();
    const start = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(0, n));
    return n * 1000 / (performance.now() - start);
}

// Behind what was fed.
async function generateSome() {
    let count = 0, start = 0;
    for await (const _ of sequence.evaluate([tokens[0]], {temperature: 0, yieldEogToken: true})) {
        if (count++ === 0) start = performance.now();
        if (count > generate) break;
    }
    return generate * 1000 / (performance.now() - start);
}

const result = {peer: "llama.cpp of node-llama-cpp 3.22.1", prompt: 0, generated: 0, deep_prompt: 0, deep_generated: 0};
for (let i = 0; i < repeat; i++) {
    result.prompt = Math.max(result.prompt, await feed(prompt));
    await feed(1);
    result.generated = Math.max(result.generated, await generateSome());
}
if (depth > 0) {
    result.deep_prompt = await feed(depth);
    result.deep_generated = await generateSome();
}
console.log(JSON.stringify(result));
process.exit(0);
