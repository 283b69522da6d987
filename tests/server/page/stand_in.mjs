/* Stands before a real server: everything passes through but /v1/chat/completions, which is answered from a script, so that
 * answers are as slow, as hostile or as broken as a test wants them. */
import http from "node:http";

export const MARKDOWN = `## A falcon's day

It *wakes* early, **hunts** at dawn and \`sleeps\` at noon; see [a page](https://example.org/falcons "Falcons").

1. Rise above the field.
2. Fold the wings:
   - slowly,
   - then at once.

| prey    | speed | share |
| ------- | ----: | :---: |
| pigeon  |   148 | 61 %  |
| starling |   82 | 22 %  |

\`\`\`c
#include <stdio.h>

/* How long the fall takes. */
int main(void) {
    double height = 120.0, g = 9.81;
    printf("%.1f s\\n", height / g);
    return 0;
}
\`\`\`

> The faster it falls, the steadier it flies.

- [x] seen
- [ ] photographed
`;

export const HOSTILE = `<script>window.hacked = "script"</script>

<img src=x onerror="window.hacked = 'onerror'">

<svg onload="window.hacked='svg'"><a href="javascript:window.hacked=1">x</a></svg>

[press me](javascript:window.hacked='link') and [me](JaVaScRiPt:window.hacked='case') and
[data](data:text/html,<script>window.hacked=1</script>) and <a href="https://e.example" onclick="window.hacked=1">raw</a>

![picture](http://192.0.2.7/spy.png) ![own](/v1/models "x\\" onerror=\\"window.hacked=1")

<iframe src="/health"></iframe><style>body{display:none}</style><form action="http://192.0.2.7/"><input name=a></form>

[auto]: javascript:window.hacked=2
[auto] <https://example.org/"onmouseover="window.hacked=3> **<b onclick=window.hacked=4>bold</b>**

\`\`\`html"><img src=x onerror=window.hacked=5>
<script>window.hacked = 6</script>
\`\`\`

| a |
| - |
| <img src=x onerror=window.hacked=7> |
`;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* The script: the last message decides. */
function reply({ messages, temperature }) {
    const asked = messages.at(-1).content;
    if (asked.includes("hostile")) return { text: HOSTILE, pause: 2 };
    if (asked.includes("markdown")) return { text: MARKDOWN, pause: 2 };
    if (asked.includes("long")) return { text: "The falcon circles once more. ".repeat(2000), pause: 15 };
    if (asked.includes("refused")) return { refusal: [400, "the prompt has 9000 tokens, the context 2048"] };
    if (asked.includes("busy")) return { refusal: [429, "the queue is full"] };
    if (asked.includes("break")) return { text: "This will not", pause: 2, breaks: true };
    return { text: `I heard “${asked}” at ${temperature ?? "the usual"} temperature.`, pause: 4 };
}

async function answer(request, response, asked) {
    const { text, pause, refusal, breaks } = reply(asked);
    if (refusal) {
        const [code, message] = refusal;
        response.writeHead(code, { "Content-Type": "application/json", ...code === 429 ? { "Retry-After": "3" } : {} });
        response.end(JSON.stringify({ error: { message, type: "invalid_request_error", param: null, code: null } }));
        return;
    }
    const send = (value) => response.write(`data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk",
        model: asked.model, ...value })}\n\n`);
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    send({ choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] });
    const pieces = text.match(/\s*\S+\s?|\s+$/g);
    let isLeft = false;
    response.on("close", () => { isLeft = true; });
    for (const piece of pieces) {
        if (isLeft) return;
        send({ choices: [{ index: 0, delta: { content: piece }, finish_reason: null }] });
        await wait(pause);
    }
    if (breaks) {
        await wait(200); // what was sent so far arrives
        response.destroy();
        return;
    }
    send({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
    const prompt_tokens = asked.messages.reduce((n, { content }) => n + content.split(/\s+/).length, 3);
    if (asked.stream_options?.include_usage) send({ choices: [], usage: { prompt_tokens,
        completion_tokens: pieces.length, total_tokens: prompt_tokens + pieces.length } });
    response.end("data: [DONE]\n\n");
}

/* Resolves to {url, asked: the bodies of completions so far, fails: {path prefix to code}, close}. */
export async function standIn(upstream) {
    const asked = [];
    const fails = {};
    const server = http.createServer(async (request, response) => {
        const failing = Object.keys(fails).find((prefix) => `${request.method} ${request.url}`.startsWith(prefix));
        if (failing) {
            response.writeHead(fails[failing], { "Content-Type": "application/json" });
            response.end(JSON.stringify({ error: "the store: database or disk is full", error_type: "io" }));
            return;
        }
        if (request.url === "/v1/chat/completions") {
            let body = "";
            for await (const part of request) body += part;
            asked.push(JSON.parse(body));
            await answer(request, response, asked.at(-1));
            return;
        }
        const { hostname, port } = new URL(upstream);
        const passed = http.request({ hostname, port, path: request.url, method: request.method, headers: request.headers },
            (back) => {
                response.writeHead(back.statusCode, back.headers);
                back.pipe(response);
            });
        passed.on("error", () => response.destroy());
        request.pipe(passed);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const close = () => {
        server.closeAllConnections();
        server.close();
    };
    return { url: `http://127.0.0.1:${server.address().port}`, asked, fails, close };
}
