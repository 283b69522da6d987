// The npm package @anthropic-ai/sdk: messages, their stream, counting, models, errors.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { cat, catAnswer, collect, serve } from "./serving.mjs";

let server, client;
before(async () => {
    server = await serve();
    client = new Anthropic({ baseURL: server.address, apiKey: "none", maxRetries: 0 });
});
after(() => server.stop());

const ask = {
    model: "fledgling", max_tokens: 100, temperature: 0, system: "You are Alfred.",
    messages: [{ role: "user", content: [{ type: "text", text: cat }] }],
};

test("a message", async () => {
    const message = await client.messages.create(ask);
    assert.deepEqual(message.content, [{ type: "text", text: catAnswer }]);
    assert.equal(message.stop_reason, "end_turn");
    assert.equal(message.role, "assistant");
    const counted = await client.messages.countTokens({ model: ask.model, system: ask.system, messages: ask.messages });
    assert.equal(message.usage.input_tokens + message.usage.cache_read_input_tokens, counted.input_tokens);
});

test("ends: a stop sequence, a bound", async () => {
    const stopped = await client.messages.create({ ...ask, stop_sequences: [" called"] });
    assert.deepEqual([stopped.stop_reason, stopped.stop_sequence], ["stop_sequence", " called"]);
    assert.equal(stopped.content[0].text, "Your cat is");
    const bound = await client.messages.create({ ...ask, max_tokens: 2 });
    assert.deepEqual([bound.stop_reason, bound.usage.output_tokens], ["max_tokens", 2]);
});

test("an answer that goes on", async () => {
    const messages = [...ask.messages, { role: "assistant", content: "Your cat" }];
    const message = await client.messages.create({ ...ask, messages });
    assert.equal("Your cat" + message.content[0].text, catAnswer);
});

test("a stream, in the client's order of events", async () => {
    const stream = client.messages.stream(ask);
    const events = await collect(stream);
    const kinds = events.map((e) => e.type).filter((type, i, all) => type !== "ping" && type !== all[i - 1]);
    assert.deepEqual(kinds, ["message_start", "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop"]);
    const message = await stream.finalMessage();
    assert.equal(message.content[0].text, catAnswer);
    assert.equal(message.stop_reason, "end_turn");
    assert.ok(message.usage.output_tokens > 5);
});

test("a stream that is left", async () => {
    const stream = await client.messages.create({ ...ask, stream: true });
    for await (const event of stream) if (event.type === "content_block_delta") break;
    assert.deepEqual((await client.messages.create(ask)).content[0].text, catAnswer);
});

test("models", async () => {
    const models = await collect(client.models.list());
    assert.deepEqual(models.map((m) => [m.id, m.type]), [["fledgling", "model"]]);
});

test("errors as the client knows them", async () => {
    await assert.rejects(client.messages.create({ ...ask, model: "claude" }), Anthropic.NotFoundError);
    await assert.rejects(client.messages.create({ ...ask, temperature: 2 }), (error) =>
        error instanceof Anthropic.BadRequestError && error.error.error.type === "invalid_request_error"
            && /temperature: 2, allowed are 0 to 1/.test(error.message));
    await assert.rejects(client.messages.create({ ...ask, messages: [{ role: "user", content: "word ".repeat(5000) }] }),
        (error) => error instanceof Anthropic.BadRequestError && error.error.error.n_prompt_tokens > 2048);
});
