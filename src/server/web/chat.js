/* Conversations as they go on: sending, stopping, answering again, branching. Owns which one is open and which are being
 * answered; how they look is thread.js, where they are kept is keeper.js. */
import { answer } from "./api.js";
import { announce, byId, device } from "./dom.js";
import { Keeper } from "./keeper.js";
import { Thread } from "./thread.js";
import { Conversation, titleOf } from "./tree.js";

const KEEP_MILLISECONDS = 2000; // between two savings of an answer that grows

export class Chat {
    /* onChange(chat): something that others show has changed. */
    constructor({ library, models, onChange, onState, onKept }) {
        this.library = library;
        this.models = models;
        this.onChange = onChange;
        this.keeper = new Keeper(library, { onState, onKept });
        this.running = new Map(); // conversation to AbortController
        this.thread = new Thread({
            edit: (message, text) => this.branch(message, text),
            again: (message) => this.again(message),
            turn: (message, step) => this.turn(message, step),
        });
        this.thread.severalModels = models.length > 1;
        this.conversation = null;
        this.wanted = null; // the id that was asked for last
        this.#bindComposer();
        addEventListener("pagehide", () => this.keeper.leave(this.running.keys()));
    }

    /* ---- which conversation ---- */

    /* A fresh one, with the sampling that was used last. */
    begin() {
        this.wanted = null;
        this.#show(new Conversation({ parameters: device.get("parameters") ?? {} }));
        byId("prompt").focus();
    }

    /* The one that is kept under id; while it is answered it is in this window already. */
    async open(id) {
        const here = [...this.running.keys(), this.conversation].find((one) => one?.id === id);
        this.wanted = id;
        const conversation = here ?? Keeper.markKept(Conversation.from(await this.library.read(id)));
        if (this.wanted === id) this.#show(conversation); // and nothing else was asked for meanwhile
    }

    #show(conversation) {
        this.conversation = conversation;
        this.thread.show(conversation);
        this.onChange(this);
    }

    forget(id) {
        const gone = [...this.running.keys(), this.conversation].find((one) => one?.id === id);
        if (!gone) return;
        this.running.get(gone)?.abort();
        this.keeper.forget(gone);
        if (gone === this.conversation) this.begin();
    }

    get model() {
        const wanted = this.conversation?.parameters.model ?? device.get("model");
        return this.models.find(({ id }) => id === wanted) ?? this.models[0] ?? { id: "", context: 0 };
    }

    get isRunning() {
        return this.running.has(this.conversation);
    }

    /* Tokens of the context that are in use, as far as the server has told. */
    get used() {
        const usage = this.conversation?.path().findLast(({ parameters }) => parameters.usage)?.parameters.usage;
        const growing = this.isRunning ? this.conversation.leaf.parameters.pieces ?? 0 : 0;
        return usage ? usage.prompt_tokens + usage.completion_tokens + growing : growing;
    }

    /* Title, system prompt or sampling were changed by hand. */
    settingsChanged() {
        const { stop, ...numbers } = this.conversation.parameters; // words stay out of the browser's storage
        device.set("parameters", numbers);
        if (this.conversation.id) this.keeper.keep(this.conversation);
        this.onChange(this);
    }

    /* ---- what is said ---- */

    send(text) {
        if (this.isRunning || !text.trim()) return;
        const { conversation } = this;
        const parent = conversation.leaf;
        if (!conversation.title) conversation.title = titleOf(text);
        this.#answer(conversation, conversation.add("user", text.trim(), parent));
    }

    /* The message once more, with another text. */
    branch(message, text) {
        if (this.isRunning) return;
        const { conversation } = this;
        this.#answer(conversation, conversation.add("user", text, message.parent));
    }

    /* Another answer to the same message. */
    again(message) {
        if (this.isRunning) return;
        const { conversation } = this;
        const asked = message.role === "user" ? message : message.parent;
        if (message.role === "assistant" && !message.text && !message.id) conversation.drop(message);
        this.#answer(conversation, asked);
    }

    turn(message, step) {
        if (this.isRunning || !this.conversation.turn(message, step)) return;
        this.thread.show(this.conversation, { toEnd: false });
        this.keeper.keep(this.conversation);
        this.onChange(this);
    }

    stop() {
        this.running.get(this.conversation)?.abort();
    }

    async #answer(conversation, asked) {
        const message = conversation.add("assistant", "", asked);
        const controller = new AbortController();
        const model = this.model.id;
        message.isWaiting = true;
        message.parameters = { ...conversation.parameters, model };
        this.running.set(conversation, controller);
        this.#redraw(conversation);
        this.keeper.keep(conversation);
        const timer = setInterval(() => this.keeper.keep(conversation), KEEP_MILLISECONDS);
        try {
            const outcome = await answer({
                model, parameters: conversation.parameters, messages: conversation.prompt(asked), signal: controller.signal,
                onText: (piece, { seconds, pieces }) => {
                    message.text += piece;
                    Object.assign(message.parameters, { seconds, pieces });
                    if (pieces === 1) this.keeper.keep(conversation);
                    if (conversation === this.conversation) {
                        this.thread.grew(message);
                        if (pieces % 16 === 0) this.onChange(this);
                    }
                },
            });
            const { usage, seconds, pieces, finish } = outcome;
            message.parameters = { ...message.parameters, seconds, pieces, finish, ...usage ? { usage } : {} };
        } catch (error) {
            message.failure = error.message;
        }
        clearInterval(timer);
        this.running.delete(conversation);
        message.isWaiting = false;
        if (!message.text && !message.failure && controller.signal.aborted) conversation.drop(message);
        this.#redraw(conversation);
        if (conversation === this.conversation)
            announce(message.failure ?? (controller.signal.aborted ? "Stopped" : "The answer is complete"));
        await this.keeper.keep(conversation);
    }

    #redraw(conversation) {
        if (conversation !== this.conversation) return;
        this.thread.show(conversation, { toEnd: this.thread.follows || this.isRunning });
        this.onChange(this);
    }

    /* ---- the message field ---- */

    #bindComposer() {
        const prompt = byId("prompt");
        const fit = () => {
            prompt.style.height = "auto";
            prompt.style.height = `${prompt.scrollHeight}px`;
            byId("send").disabled = !prompt.value.trim();
        };
        const submit = () => {
            if (this.isRunning || !prompt.value.trim()) return;
            const text = prompt.value;
            prompt.value = "";
            fit();
            this.send(text);
        };
        prompt.addEventListener("input", fit);
        prompt.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            submit();
        });
        byId("composer").addEventListener("submit", (event) => {
            event.preventDefault();
            submit();
        });
        byId("stop").addEventListener("click", () => {
            this.stop();
            prompt.focus();
        });
        fit();
    }
}
