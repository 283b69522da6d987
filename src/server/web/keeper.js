/* Brings conversations into the library, in order and one step at a time. What cannot be kept stays in the window, is said,
 * and is tried again with the next change. */

export class Keeper {
    /* onState(error or null) tells how the last attempt went, onKept(conversation) that the list of conversations changed. */
    constructor(library, { onState, onKept }) {
        this.library = library;
        this.onState = onState;
        this.onKept = onKept;
        this.pending = new Set();
        this.work = Promise.resolve();
    }

    /* Keeps whatever changed in a conversation. Resolves when that was tried. */
    keep(conversation) {
        this.pending.add(conversation);
        this.work = this.work.then(() => this.#tryAll());
        return this.work;
    }

    again() {
        this.work = this.work.then(() => this.#tryAll());
        return this.work;
    }

    /* It is gone: nothing of it is kept any more. */
    forget(conversation) {
        this.pending.delete(conversation);
        conversation.isForgotten = true;
    }

    /* The window is being left: the answers that still grow, by requests that outlive it. */
    leave(conversations) {
        for (const { id, leaf } of conversations)
            if (id && leaf?.id && leaf.kept?.text !== leaf.text && leaf.text.length < 50000)
                this.library.changeMessage(id, leaf.id, { text: leaf.text }, true)?.catch(() => {});
    }

    async #tryAll() {
        for (const conversation of [...this.pending]) {
            this.pending.delete(conversation);
            if (conversation.isForgotten) continue;
            try {
                if (await this.#flush(conversation)) this.onKept(conversation);
                this.onState(null);
            } catch (error) {
                this.pending.add(conversation);
                this.onState(error);
                return;
            }
        }
    }

    async #flush(conversation) {
        let changed = await this.#flushHead(conversation);
        for (const message of [...conversation.messages])
            if (message.text || message.role === "user") changed = await this.#flushMessage(conversation, message) || changed;
        const leaf = conversation.leaf;
        if (leaf?.id && conversation.keptLeaf !== leaf.id) {
            await this.library.change(conversation.id, { leaf: leaf.id });
            conversation.keptLeaf = leaf.id;
        }
        return changed;
    }

    async #flushHead(conversation) {
        const { title, system, parameters } = conversation;
        const head = JSON.stringify([title, system, parameters]);
        if (conversation.keptHead === head) return false;
        if (conversation.id) await this.library.change(conversation.id, { title, system, parameters });
        else conversation.id = (await this.library.create({ title, system, parameters })).id;
        conversation.keptHead = head;
        return true;
    }

    /* True if it is a message that was not kept before. */
    async #flushMessage(conversation, message) {
        const { text, role, created } = message;
        let { parent } = message;
        while (parent && !parent.id) parent = parent.parent; // an answer that failed without a word is not kept
        const parameters = JSON.stringify(message.parameters);
        if (message.id && message.kept?.text === text && message.kept.parameters === parameters) return false;
        if (message.id) {
            await this.library.changeMessage(conversation.id, message.id, { text, parameters: message.parameters });
            message.kept = { text, parameters };
            return false;
        }
        const made = await this.library.addMessage(conversation.id,
            { role, text, created, parameters: message.parameters, parent: parent?.id ?? null });
        message.id = made.id;
        conversation.keptLeaf = made.id;
        message.kept = { text, parameters };
        return true;
    }

    /* A conversation as it came from the library: nothing in it is to be kept. */
    static markKept(conversation) {
        conversation.keptHead = JSON.stringify([conversation.title, conversation.system, conversation.parameters]);
        conversation.keptLeaf = conversation.leaf?.id ?? null;
        for (const message of conversation.messages)
            message.kept = { text: message.text, parameters: JSON.stringify(message.parameters) };
        return conversation;
    }
}
