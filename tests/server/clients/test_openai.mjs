// The npm package openai: conversations, completions, models, embeddings, streams that are left, errors.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import OpenAI from "openai";
import { cat, catAnswer, collect, serve, system } from "./serving.mjs";

let server, client;
before(async () => {
    server = await serve("--parallel", "4");
    client = new OpenAI({ baseURL: `${server.address}/v1`, apiKey: "none", maxRetries: 0 });
});
after(() => server.stop());

const messages = [system, { role: "user", content: cat }];

test("models", async () => {
    const models = await collect(client.models.list());
    assert.deepEqual(models.map((m) => m.id), ["fledgling"]);
    assert.equal((await client.models.retrieve("fledgling")).object, "model");
    await assert.rejects(client.models.retrieve("gpt-4"), OpenAI.NotFoundError);
});

test("a conversation", async () => {
    const answer = await client.chat.completions.create({ model: "fledgling", messages, temperature: 0 });
    assert.equal(answer.choices[0].message.content, catAnswer);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("a stream tells the same, and its usage", async () => {
    const chunks = await collect(await client.chat.completions.create({
        model: "fledgling", messages, temperature: 0, stream: true, stream_options: { include_usage: true },
    }));
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""), catAnswer);
    assert.ok(chunks.at(-1).usage.completion_tokens > 5);
    assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
});

test("the client's own reader of streams", async () => {
    const pieces = [];
    const stream = client.chat.completions.stream({ model: "fledgling", messages, temperature: 0 });
    stream.on("content", (piece) => pieces.push(piece));
    assert.equal((await stream.finalChatCompletion()).choices[0].message.content, catAnswer);
    assert.ok(pieces.length > 3);
});

test("several answers; the same seed, the same answers", async () => {
    const ask = () => client.chat.completions.create({
        model: "fledgling", messages: [system, { role: "user", content: "Tell me a story." }], n: 3, seed: 11, max_tokens: 12,
    });
    const [first, again] = await Promise.all([ask(), ask()]);
    assert.deepEqual(first.choices.map((c) => c.index), [0, 1, 2]);
    assert.deepEqual(again.choices.map((c) => c.message.content), first.choices.map((c) => c.message.content));
});

test("log-probabilities of a conversation", async () => {
    const answer = await client.chat.completions.create({
        model: "fledgling", messages, temperature: 0, max_tokens: 4, logprobs: true, top_logprobs: 3,
    });
    const told = answer.choices[0].logprobs.content;
    assert.equal(told.map((t) => t.token).join(""), answer.choices[0].message.content);
    for (const token of told) {
        assert.ok(token.logprob <= 0);
        assert.equal(token.top_logprobs.length, 3);
        assert.equal(token.top_logprobs[0].logprob, token.logprob);
        assert.equal(Buffer.from(token.bytes).toString(), token.token);
    }
});

test("completions: prompts, ids, echo", async () => {
    const answer = await client.completions.create({
        model: "fledgling", prompt: ["The doctor", "A garden"], temperature: 0, max_tokens: 2, echo: true, logprobs: 1,
    });
    assert.deepEqual(answer.choices.map((c) => c.index), [0, 1]);
    for (const { text, logprobs } of answer.choices) {
        assert.equal(logprobs.tokens.join(""), text);
        assert.equal(logprobs.token_logprobs[0], null);
        assert.ok(logprobs.token_logprobs.slice(1).every((value) => value < 0));
        assert.deepEqual(logprobs.text_offset, logprobs.tokens.map((_, i) => logprobs.tokens.slice(0, i).join("").length));
        // The token itself is always told; greedy, the answer's are the best ones.
        assert.ok(logprobs.tokens.slice(1).every((token, i) => token in logprobs.top_logprobs[i + 1]));
        assert.equal(Math.max(...Object.values(logprobs.top_logprobs.at(-1))), logprobs.token_logprobs.at(-1));
    }
    const chunks = await collect(await client.completions.create({
        model: "fledgling", prompt: [287, 589], temperature: 0, max_tokens: 3, stream: true,
    }));
    assert.equal(chunks.map((c) => c.choices[0].text).join(""), " walked through the");
});

test("embeddings, which the client asks for in base64", async () => {
    const ask = { model: "fledgling", input: ["Good morning!", "Good morning", "Der Falke"] };
    const packed = await client.embeddings.create(ask);
    const plain = await client.embeddings.create({ ...ask, encoding_format: "float" });
    const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
    assert.equal(packed.data.length, 3);
    packed.data.forEach(({ embedding }, i) => {
        assert.equal(embedding.length, 256);
        assert.ok(Math.abs(dot(embedding, embedding) - 1) < 1e-5);
        assert.ok(Math.abs(dot(embedding, plain.data[i].embedding) - 1) < 1e-5);
    });
    const [first, near, far] = packed.data.map((d) => d.embedding);
    assert.ok(dot(first, near) > dot(first, far));
});

test("answers of a form", async () => {
    const schema = {
        type: "object", additionalProperties: false, required: ["name", "legs"],
        properties: { name: { type: "string", maxLength: 12 }, legs: { type: "integer", minimum: 0, maximum: 9 } },
    };
    const ask = (response_format, temperature) => client.chat.completions.create({
        model: "fledgling", messages, response_format, temperature, seed: 3, max_tokens: 120,
    });
    for (const temperature of [0, 1]) {
        const answer = await ask({ type: "json_schema", json_schema: { name: "cat", strict: true, schema } }, temperature);
        const value = JSON.parse(answer.choices[0].message.content);
        assert.deepEqual(Object.keys(value).sort(), ["legs", "name"]);
        assert.ok(Number.isInteger(value.legs) && value.legs <= 9 && value.name.length <= 12);
    }
    const grammar = await client.chat.completions.create({
        model: "fledgling", messages, grammar: 'root ::= ("yes" | "no") "!"', temperature: 1,
    });
    assert.match(grammar.choices[0].message.content, /^(yes|no)!$/);
    await assert.rejects(ask({ type: "json_schema", json_schema: { name: "x", schema: { type: "strange" } } }, 0),
        (error) => error instanceof OpenAI.BadRequestError && error.param === "response_format");
});

test("who leaves stops the answer, and nobody else's", async () => {
    const other = client.chat.completions.create({ model: "fledgling", messages, temperature: 0 });
    const stream = await client.chat.completions.create({
        model: "fledgling", messages: [system, { role: "user", content: "Tell me a story." }], stream: true, max_tokens: 1900,
        ignore_eos: true,
    });
    let n = 0;
    for await (const chunk of stream) {
        assert.ok(chunk);
        if (++n === 5) stream.controller.abort();
    }
    assert.ok(n < 100);
    assert.equal((await other).choices[0].message.content, catAnswer);
    for (let i = 0; ; i++) {
        const health = await (await fetch(`${server.address}/health`)).json();
        if (health.models[0].running === 0) break;
        assert.ok(i < 100, "it is computed on");
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
});

test("errors as the client knows them", async () => {
    const chat = (more) => client.chat.completions.create({ model: "fledgling", messages, ...more });
    await assert.rejects(chat({ model: "gpt-4" }), (error) => error instanceof OpenAI.NotFoundError
        && error.code === "model_not_found" && /fledgling/.test(error.message));
    await assert.rejects(chat({ temperature: 1000 }), (error) => error instanceof OpenAI.BadRequestError
        && error.param === "temperature");
    await assert.rejects(chat({ messages: [{ role: "user", content: "word ".repeat(5000) }] }),
        (error) => error instanceof OpenAI.BadRequestError && error.code === "context_length_exceeded"
            && error.param === "messages" && error.error.n_prompt_tokens > error.error.n_context);
    const cut = await chat({ messages: [{ role: "user", content: "word ".repeat(5000) }], truncation: "auto", max_tokens: 2 });
    assert.ok(cut.usage.prompt_tokens_details.truncated_tokens > 1000);
});
