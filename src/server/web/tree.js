/* A conversation with all its branches: messages form a tree, and one path through it is shown. Knows no page. */

let lastKey = 0;

export class Message {
    constructor({ id = null, role, text = "", parameters = {}, created = Date.now() }, parent = null) {
        this.key = ++lastKey; // within this page
        this.id = id; // in the store; null: not kept yet
        this.parent = parent;
        this.role = role;
        this.text = text;
        this.parameters = parameters;
        this.created = created;
        this.failure = null;
        this.isWaiting = false;
    }
}

export class Conversation {
    constructor({ id = null, title = "", system = "", parameters = {}, created = Date.now() } = {}) {
        Object.assign(this, { id, title, system, parameters, created });
        this.messages = [];
        this.leaf = null;
    }

    /* From what the store hands out. */
    static from(kept) {
        const conversation = new Conversation(kept);
        const known = new Map();
        for (const message of kept.messages ?? []) {
            const made = new Message(message, known.get(message.parent) ?? null);
            known.set(message.id, made);
            conversation.messages.push(made);
        }
        conversation.leaf = known.get(kept.leaf) ?? conversation.messages.at(-1) ?? null;
        return conversation;
    }

    add(role, text, parent, parameters = {}) {
        const message = new Message({ role, text, parameters }, parent);
        this.messages.push(message);
        this.leaf = message;
        return message;
    }

    /* The messages that lead to `end`, first to last. */
    path(end = this.leaf) {
        const path = [];
        for (let message = end; message; message = message.parent) path.unshift(message);
        return path;
    }

    /* A message and those that stand in its place, oldest first. */
    branches(message) {
        return this.messages.filter((other) => other.parent === message.parent && other.role === message.role);
    }

    /* Shows the branch that is `step` beside message, and in it the newest messages. False: there is none. */
    turn(message, step) {
        const branches = this.branches(message);
        let chosen = branches[branches.indexOf(message) + step];
        if (!chosen) return false;
        for (let next = chosen; next; next = this.messages.findLast((other) => other.parent === chosen)) chosen = next;
        this.leaf = chosen;
        return true;
    }

    /* Takes out a message that nothing follows. */
    drop(message) {
        this.messages = this.messages.filter((other) => other !== message);
        if (this.leaf === message) this.leaf = message.parent;
    }

    /* What the model is told before it answers after `end`; answers that failed without a word are left out. */
    prompt(end = this.leaf) {
        const system = this.system.trim() ? [{ role: "system", content: this.system }] : [];
        return [...system, ...this.path(end).filter(({ text }) => text).map(({ role, text }) => ({ role, content: text }))];
    }
}

/* A name for a conversation, from its first message. */
export function titleOf(text) {
    const line = text.split("\n").map((part) => part.replace(/^[#>*\-\s]+/, "").trim()).find(Boolean) ?? "";
    if (line.length <= 60) return line || "Untitled";
    const cut = line.slice(0, 60);
    return `${cut.slice(0, Math.max(cut.lastIndexOf(" "), 40)).trimEnd()}…`;
}
