/* How a conversation looks: one article per message of the path that is shown, with what can be done to it. Decides nothing:
 * what is pressed is handed to `acts` {edit, again, turn}. */
import { speedOf } from "./api.js";
import { byId, copy, element, iconButton } from "./dom.js";
import { showMarkdown } from "./markdown.js";

const LONG = 1000; // characters of a message that may need more room than it gets

const ENDS = { stopped: "stopped", length: "longest answer reached", content_filter: "withheld" };

function factsOf({ parameters: { usage, seconds, pieces, finish, model } }, severalModels) {
    const facts = [];
    const n = usage?.completion_tokens ?? pieces;
    if (n) facts.push(`${n} ${n === 1 ? "token" : "tokens"}`);
    const speed = speedOf({ usage, seconds, pieces });
    if (speed) facts.push(`${speed < 10 ? speed.toFixed(1) : Math.round(speed)} per second`);
    if (ENDS[finish]) facts.push(ENDS[finish]);
    if (severalModels && model) facts.push(model);
    return facts.join(" · ");
}

class View {
    constructor(message, thread) {
        this.message = message;
        this.thread = thread;
        this.text = element("div", { class: "text" });
        this.failure = element("div", { class: "failure", role: "alert", hidden: true });
        this.branches = element("span", { class: "branches" });
        this.acts = element("span", { class: "acts" });
        this.facts = element("span", { class: "facts" });
        this.line = element("div", { class: "line" }, this.branches, this.facts, this.acts);
        this.node = element("article", { class: `message ${message.role}`, tabindex: "-1",
            "aria-label": message.role === "user" ? "You" : "Answer" }, this.text, this.failure, this.line);
        this.node.view = this;
    }

    update(isLast) {
        const { message, thread } = this;
        this.updateText();
        this.acts.replaceChildren(iconButton("copy", "Copy (c)", () => copy(message.text)));
        if (message.role === "user") this.acts.append(iconButton("edit", "Edit (e)", () => this.edit()));
        if (message.role === "assistant" || isLast)
            this.acts.append(iconButton("again", "Answer again (r)", () => thread.acts.again(message)));
        if (message.isWaiting) this.acts.replaceChildren();
        const branches = thread.conversation.branches(message);
        const place = branches.indexOf(message) + 1;
        this.branches.replaceChildren(...branches.length < 2 ? [] : [
            iconButton("left", "Earlier branch", () => thread.acts.turn(message, -1), { disabled: place === 1 }),
            element("span", { "aria-label": `Branch ${place} of ${branches.length}` }, `${place}/${branches.length}`),
            iconButton("right", "Later branch", () => thread.acts.turn(message, 1), { disabled: place === branches.length })]);
    }

    updateText() {
        const { message } = this;
        if (message.role === "user") {
            this.text.textContent = message.text;
            this.text.tabIndex = message.text.length > LONG ? 0 : -1; // it scrolls in itself
        } else showMarkdown(this.text, message.text, message.isWaiting);
        this.node.classList.toggle("waiting", message.isWaiting && !message.text);
        this.node.setAttribute("aria-busy", String(message.isWaiting));
        this.failure.hidden = !message.failure;
        this.failure.textContent = message.failure ?? "";
        this.facts.textContent = message.role === "assistant" ? factsOf(message, this.thread.severalModels) : "";
    }

    edit() {
        const { message, thread } = this;
        const area = element("textarea", { "aria-label": "Edit the message", rows: "4" });
        area.value = message.text;
        const close = () => {
            editor.remove();
            this.text.hidden = this.line.hidden = false;
            this.node.focus({ preventScroll: true });
        };
        const send = () => {
            if (!area.value.trim()) return;
            close();
            thread.acts.edit(message, area.value.trim());
        };
        const editor = element("div", { class: "editor" }, area, element("div", {},
            element("button", { type: "button", class: "quiet", onclick: close }, "Cancel"),
            element("button", { type: "button", class: "main", onclick: send }, "Send as a branch")));
        editor.addEventListener("keydown", (event) => {
            if (event.key === "Escape") close();
            else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target === area) send();
            else return;
            event.preventDefault();
            event.stopPropagation();
        });
        if (this.text.hidden) return;
        this.text.hidden = this.line.hidden = true;
        this.node.prepend(editor);
        area.focus();
        area.setSelectionRange(area.value.length, area.value.length);
    }
}

export class Thread {
    constructor(acts) {
        this.acts = acts;
        this.node = byId("thread");
        this.scroll = byId("scroll");
        this.views = new Map();
        this.conversation = null;
        this.severalModels = false;
        this.changed = new Set();
        this.rest = 0; // milliseconds between two drawings of what grows
        this.follows = true; // whether what grows stays in sight
        this.wasSeen = true;
        this.top = 0;
        this.scroll.addEventListener("scroll", () => this.#onScroll(), { passive: true });
        byId("latest").addEventListener("click", () => this.toEnd());
        const onSize = new ResizeObserver(() => this.#onSize());
        onSize.observe(this.node);
        onSize.observe(this.scroll);
    }

    /* Shows the path of a conversation; articles of messages that stay are kept. */
    show(conversation, { toEnd = true } = {}) {
        if (conversation !== this.conversation) this.views.clear();
        this.conversation = conversation;
        const path = conversation.path();
        const views = path.map((message) => {
            if (!this.views.has(message.key)) this.views.set(message.key, new View(message, this));
            return this.views.get(message.key);
        });
        this.node.replaceChildren(...views.map((view) => view.node));
        if (path.length === 0) this.node.append(element("div", { class: "welcome" },
            element("h2", {}, "What shall we talk about?"), element("p", {}, this.welcome ?? "")));
        views.forEach((view, i) => view.update(i === views.length - 1));
        if (toEnd) this.toEnd();
        else this.#onScroll();
    }

    /* The text of a message grew: drawn with the next frame, or, where drawing takes long, after a while of rest. */
    grew(message) {
        if (this.changed.size === 0) setTimeout(() => requestAnimationFrame(() => this.#drawGrown()), this.rest);
        this.changed.add(message);
    }

    #drawGrown() {
        const begin = performance.now();
        for (const { key } of this.changed) this.views.get(key)?.updateText();
        this.changed.clear();
        if (this.follows) this.toEnd();
        else this.#onScroll();
        const took = performance.now() - begin;
        this.rest = took > 8 ? Math.min(4 * took, 500) : 0;
    }

    toEnd() {
        this.scroll.scrollTop = this.scroll.scrollHeight;
        this.#onScroll();
    }

    /* The window turned, or the thread is seen again: what was in sight stays there. */
    #onSize() {
        const isSeen = this.scroll.clientHeight > 0;
        if (isSeen && this.follows) this.toEnd();
        else if (isSeen && !this.wasSeen) this.scroll.scrollTop = this.top;
        this.wasSeen = isSeen;
    }

    #onScroll() {
        const { scrollTop, scrollHeight, clientHeight } = this.scroll;
        if (clientHeight === 0) return;
        this.top = scrollTop;
        this.follows = scrollHeight - scrollTop - clientHeight < 60;
        byId("latest").hidden = this.follows;
    }

    /* Keyboard: the message that has the focus, or else the last one. */
    current() {
        return document.activeElement?.closest?.(".message")?.view ?? [...this.node.querySelectorAll(".message")].at(-1)?.view;
    }

    move(step) {
        const all = [...this.node.querySelectorAll(".message")];
        const place = all.indexOf(document.activeElement?.closest?.(".message"));
        const next = all[place < 0 ? (step < 0 ? all.length - 1 : 0) : Math.min(Math.max(place + step, 0), all.length - 1)];
        next?.focus();
    }
}
