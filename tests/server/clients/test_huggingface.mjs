// The npm package @huggingface/inference in two versions, which speak two contracts with an endpoint.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { HfInference } from "huggingface-inference-2";
import { InferenceClient } from "huggingface-inference-4";
import { cat, catAnswer, collect, serve, system } from "./serving.mjs";

let server, second, fourth;
before(async () => {
    server = await serve();
    second = new HfInference(undefined, { retry_on_error: false }).endpoint(server.address);
    fourth = new InferenceClient(undefined, { endpointUrl: server.address, retry_on_error: false });
});
after(() => server.stop());

const messages = [system, { role: "user", content: cat }];

test("2.8.1 posts {inputs, parameters} to the address itself", async () => {
    const whole = await second.textGeneration({ model: "gpt2", inputs: "The doctor", parameters: { max_new_tokens: 3 } });
    assert.equal(whole.generated_text, "The doctor walked through the");
    const answer = await second.textGeneration({
        model: "gpt2", inputs: "The doctor", parameters: { max_new_tokens: 3, return_full_text: false, details: true, seed: 1 },
    });
    assert.equal(answer.generated_text, " walked through the");
    assert.equal(answer.details.finish_reason, "length");
});

test("2.8.1 streams", async () => {
    const events = await collect(second.textGenerationStream({
        model: "gpt2", inputs: "The doctor", parameters: { max_new_tokens: 3, return_full_text: false },
    }));
    assert.equal(events.map((e) => e.token.text).join(""), " walked through the");
    assert.ok(events.slice(0, -1).every((e) => e.generated_text === null));
    assert.equal(events.at(-1).generated_text, " walked through the");
    assert.equal(events.at(-1).details.generated_tokens, 3);
});

test("2.8.1 holds conversations", async () => {
    const answer = await second.chatCompletion({ model: "tgi", messages, temperature: 0, max_tokens: 50 });
    assert.equal(answer.choices[0].message.content, catAnswer);
    const chunks = await collect(second.chatCompletionStream({ model: "tgi", messages, temperature: 0 }));
    assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""), catAnswer);
});

test("2.8.1 is told what is wrong", async () => {
    await assert.rejects(second.textGeneration({ model: "gpt2", inputs: "x", parameters: { temperature: -1 } }),
        /temperature: -1, allowed are 0 to 100/);
    await assert.rejects(collect(second.textGenerationStream({ model: "gpt2", inputs: "x", parameters: { top_k: -1 } })),
        /top_k/);
});

test("4.13.30 posts to /v1/completions with names of text-generation-inference", async () => {
    const answer = await fourth.textGeneration({
        inputs: "The doctor",
        parameters: { max_new_tokens: 3, do_sample: false, repetition_penalty: 1.0, return_full_text: false },
    });
    assert.equal(answer.generated_text, " walked through the");
    const whole = await fourth.textGeneration({
        inputs: "The doctor", parameters: { max_new_tokens: 3, do_sample: false, return_full_text: true },
    });
    assert.equal(whole.generated_text, "The doctor walked through the");
});

test("4.13.30 streams", async () => {
    const chunks = await collect(fourth.textGenerationStream({
        inputs: "The doctor", parameters: { max_new_tokens: 3, do_sample: false },
    }));
    assert.equal(chunks.map((c) => c.choices[0].text).join(""), " walked through the");
});

test("4.13.30 holds conversations", async () => {
    const answer = await fourth.chatCompletion({ messages, temperature: 0, max_tokens: 50 });
    assert.equal(answer.choices[0].message.content, catAnswer);
    const chunks = await collect(fourth.chatCompletionStream({ messages, temperature: 0 }));
    assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""), catAnswer);
});

test("4.13.30 leaves a stream", async () => {
    const controller = new AbortController();
    const stream = fourth.chatCompletionStream({ messages, max_tokens: 1000, ignore_eos: true }, { signal: controller.signal });
    await assert.rejects(async () => {
        let n = 0;
        for await (const chunk of stream) {
            assert.ok(chunk);
            if (++n === 3) controller.abort();
        }
    }, { name: "AbortError" });
});

test("4.13.30 is told what is wrong", async () => {
    await assert.rejects(fourth.chatCompletion({ messages, temperature: "hot" }),
        (error) => /temperature/.test(error.message + JSON.stringify(error.httpResponse?.body ?? "")));
});
