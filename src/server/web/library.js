/* Where conversations and votes are kept: on the server, or, where the server keeps nothing, in this window alone. Both
 * have the same face. */
import { request } from "./api.js";

const PORTION = 4 << 20; // characters of JSON in one request

/* The document itself where it is short, else documents with some of its conversations each. */
function* portions(document_) {
    const { conversations, ...rest } = document_ ?? {};
    if (!Array.isArray(conversations) || JSON.stringify(document_).length <= PORTION) {
        yield document_;
        return;
    }
    let part = [], length = 0;
    for (const one of conversations) {
        const itsLength = JSON.stringify(one).length;
        if (part.length > 0 && length + itsLength > PORTION) {
            yield { ...rest, votes: [], conversations: part };
            part = [];
            length = 0;
        }
        part.push(one);
        length += itsLength;
    }
    yield { ...rest, conversations: part };
}

export class ServerLibrary {
    list({ words = "", skip = 0, limit = 50 }) {
        return request(`/api/conversations?${new URLSearchParams({ words, skip, limit })}`);
    }
    read(id) {
        return request(`/api/conversations/${id}`);
    }
    create(conversation) {
        return request("/api/conversations", { method: "POST", body: conversation });
    }
    change(id, changes) {
        return request(`/api/conversations/${id}`, { method: "PATCH", body: changes });
    }
    remove(id) {
        return request(`/api/conversations/${id}`, { method: "DELETE" });
    }
    addMessage(id, message) {
        return request(`/api/conversations/${id}/messages`, { method: "POST", body: message });
    }
    changeMessage(id, message, changes, keepalive = false) {
        return request(`/api/conversations/${id}/messages/${message}`, { method: "PATCH", body: changes, keepalive });
    }
    exported(id) {
        return request(id ? `/api/export?conversation=${id}` : "/api/export");
    }
    /* In portions that a server takes; each of them is kept whole or not at all. */
    async imported(document_) {
        const sum = { ids: [], votes: 0 };
        for (const portion of portions(document_)) {
            const { ids, votes } = await request("/api/import", { method: "POST", body: portion });
            sum.ids.push(...ids);
            sum.votes += votes;
        }
        return sum;
    }
    vote(ballot) {
        return request("/api/votes", { method: "POST", body: ballot });
    }
    votes() {
        return request("/api/votes");
    }
}

const FORMAT = "falconer conversations";
const sorted = (value) => JSON.stringify(value, Object.keys(value).sort());

export class WindowLibrary {
    #conversations = new Map();
    #votes = [];
    #lastId = 0;

    #find(id) {
        const found = this.#conversations.get(Number(id));
        if (!found) throw new Error(`There is no conversation ${id}.`);
        return found;
    }

    async list({ words = "", skip = 0, limit = 50 }) {
        const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
        const found = [...this.#conversations.values()]
            .filter((one) => {
                const text = [one.title, ...one.messages.map((message) => message.text)].join("\n").toLowerCase();
                return wanted.every((word) => text.includes(word));
            })
            .sort((a, b) => b.updated - a.updated || b.id - a.id);
        return { conversations: found.slice(skip, skip + limit), more: found.length > skip + limit };
    }
    async read(id) {
        return structuredClone(this.#find(id));
    }
    async create({ messages = [], ...values }) {
        const now = Date.now();
        const made = { title: "", system: "", parameters: {}, created: now, updated: now, leaf: null, ...values,
            id: ++this.#lastId, messages: [] };
        const ids = new Map();
        for (const message of messages) {
            const id = ++this.#lastId;
            ids.set(message.id, id);
            made.messages.push({ parameters: {}, created: now, ...message, id, parent: ids.get(message.parent) ?? null });
        }
        made.leaf = ids.get(values.leaf) ?? made.messages.at(-1)?.id ?? null;
        this.#conversations.set(made.id, made);
        return made;
    }
    async change(id, changes) {
        Object.assign(this.#find(id), changes);
    }
    async remove(id) {
        this.#conversations.delete(Number(id));
    }
    async addMessage(id, message) {
        const conversation = this.#find(id);
        const made = { parameters: {}, created: Date.now(), ...message, id: ++this.#lastId };
        conversation.messages.push(made);
        conversation.leaf = made.id;
        conversation.updated = Date.now();
        return made;
    }
    async changeMessage(id, message, changes) {
        Object.assign(this.#find(id).messages.find((one) => one.id === message) ?? {}, changes);
    }
    async exported(id) {
        const chosen = id ? [this.#find(id)] : [...this.#conversations.values()];
        return structuredClone({ format: FORMAT, version: 1, exported: Date.now(), conversations: chosen,
            votes: id ? [] : this.#votes });
    }
    async imported(document_) {
        if (document_?.format !== FORMAT || document_.version !== 1 || !Array.isArray(document_.conversations))
            throw new Error("This is no document of conversations.");
        const ids = [];
        for (const one of document_.conversations) ids.push((await this.create(one)).id);
        this.#votes.push(...document_.votes ?? []);
        return { ids, votes: document_.votes?.length ?? 0 };
    }
    async vote(ballot) {
        this.#votes.push({ created: Date.now(), ...ballot });
    }
    async votes() {
        const pairs = new Map();
        for (const { a, b, winner, created } of this.#votes) {
            const turned = sorted(a) > sorted(b);
            const [x, y] = turned ? [b, a] : [a, b];
            const name = `${sorted(x)}${sorted(y)}`;
            const pair = pairs.get(name) ?? { a: x, b: y, a_wins: 0, b_wins: 0, ties: 0, neither: 0, updated: 0 };
            const column = { a: turned ? "b_wins" : "a_wins", b: turned ? "a_wins" : "b_wins", tie: "ties" }[winner];
            pair[column ?? "neither"]++;
            pair.updated = Math.max(pair.updated, created);
            pairs.set(name, pair);
        }
        return { pairs: [...pairs.values()].sort((a, b) => b.updated - a.updated) };
    }
}
