/* Talking with the server: JSON requests, the key where one is wanted, answers as streams. */
import { ask, element } from "./dom.js";

/* What the server said in its refusal, in words for a person. */
export class Refusal extends Error {
    constructor(message, status, retryAfter) {
        super(message);
        this.status = status;
        this.retryAfter = retryAfter;
    }
}

let key = null;
try {
    key = sessionStorage.getItem("falconer.key");
} catch { /* asked for again after a reload */ }

let asking = null;

/* Asks once, however many requests want the key. */
function askForKey() {
    asking ??= (async () => {
        const field = element("input", { type: "password", autocomplete: "current-password", "aria-label": "Key" });
        const given = await ask("This server wants a key", [
            element("p", {}, "It is kept until this window is closed, and sent to this server only."),
            element("div", { class: "field" }, field)],
        [{ label: "Continue", class: "main", value: () => field.value.trim() }]);
        asking = null;
        if (!given) return false;
        key = given;
        try {
            sessionStorage.setItem("falconer.key", given);
        } catch { /* as above */ }
        return true;
    })();
    return asking;
}

function sentence(text) {
    return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;
}

async function refusal(response) {
    let message = `${response.status} ${response.statusText}`.trim();
    try {
        const body = await response.json();
        message = body?.error?.message ?? (typeof body?.error === "string" ? body.error : message);
        const field = `${body?.error?.param}: `; // of the request: nothing that a person has seen
        if (message.startsWith(field)) message = message.slice(field.length);
    } catch { /* no JSON: the status has to do */ }
    const retryAfter = Number(response.headers.get("Retry-After")) || 0;
    message = sentence(message);
    if (response.status === 429 && retryAfter > 0) message += ` Try again in ${retryAfter} s.`;
    return new Refusal(message, response.status, retryAfter);
}

async function send(path, { method = "GET", body, signal, keepalive } = {}) {
    const headers = {};
    if (key) headers.Authorization = `Bearer ${key}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
        response = await fetch(path, {
            method, headers, signal, keepalive, cache: "no-store",
            body: body === undefined ? undefined : JSON.stringify(body),
        });
    } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new Refusal("The server cannot be reached.", 0, 0);
    }
    if (response.status === 401 && !keepalive && await askForKey())
        return send(path, { method, body, signal });
    if (!response.ok) throw await refusal(response);
    return response;
}

/* A request whose answer is JSON, or nothing. */
export async function request(path, options) {
    const response = await send(path, options);
    const text = await response.text();
    return text ? JSON.parse(text) : null;
}

/* The data of server-sent events, one by one. */
async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "", data = [];
    try {
        for (;;) {
            const { value, done } = await reader.read();
            rest += done ? "\n\n" : value;
            const lines = rest.split(/\r\n|\n|\r(?!$)/);
            rest = lines.pop();
            for (const line of lines)
                if (line.startsWith("data:")) data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
                else if (line === "" && data.length > 0) {
                    yield data.join("\n");
                    data = [];
                }
            if (done) return;
        }
    } finally {
        reader.cancel().catch(() => {});
    }
}

/* Names of parameters are those of the interface; what is not given is the server's to choose. */
const NUMBERS = ["temperature", "top_p", "top_k", "max_tokens", "seed", "frequency_penalty", "presence_penalty",
    "repetition_penalty"];

function body(model, messages, parameters) {
    const request_ = { model, messages, stream: true, stream_options: { include_usage: true } };
    for (const name of NUMBERS) if (Number.isFinite(parameters[name])) request_[name] = parameters[name];
    if (parameters.stop?.length) request_.stop = parameters.stop;
    if (parameters.truncation) request_.truncation = parameters.truncation;
    return request_;
}

/* Has an answer computed. onText is handed each piece. Resolves to {finish, usage, seconds, pieces}, where seconds are those
 * between the first and the last piece; a signal that is aborted ends it with finish "stopped". */
export async function answer({ model, messages, parameters, signal, onText }) {
    const outcome = { finish: null, usage: null, seconds: 0, pieces: 0 };
    let first = 0;
    try {
        const response = await send("/v1/chat/completions",
            { method: "POST", body: body(model, messages, parameters), signal });
        for await (const data of events(response)) {
            if (data === "[DONE]") break;
            const event = JSON.parse(data);
            if (event.error) throw new Refusal(event.error.message ?? String(event.error), 500, 0);
            if (event.usage) outcome.usage = event.usage;
            const choice = event.choices?.[0];
            if (choice?.finish_reason) outcome.finish = choice.finish_reason;
            const piece = choice?.delta?.content;
            if (!piece) continue;
            const now = performance.now();
            first ||= now;
            outcome.seconds = (now - first) / 1000;
            outcome.pieces++;
            onText(piece, outcome);
        }
        if (!outcome.finish && !signal?.aborted) throw new Refusal("The answer broke off.", 0, 0);
    } catch (error) {
        if (error.name !== "AbortError" && !signal?.aborted)
            throw error instanceof Refusal ? error : new Refusal("The connection broke off.", 0, 0);
    }
    if (signal?.aborted) outcome.finish = "stopped";
    return outcome;
}

/* Tokens per second; null where too little was seen to tell. */
export function speedOf({ usage, seconds, pieces }) {
    const n = (usage?.completion_tokens ?? pieces) - 1;
    return n >= 4 && seconds > 0.05 ? n / seconds : null;
}
