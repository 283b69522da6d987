/* The list of conversations: by day, by words, with renaming, export and removal. */
import { byId, confirmed, download, element, iconButton, notice } from "./dom.js";

const PORTION = 60;

/* Under which heading a time stands. */
function dayOf(time) {
    const midnight = new Date();
    midnight.setHours(0, 0, 0, 0);
    const days = Math.ceil((midnight - time) / 86400000);
    if (days <= 0) return "Today";
    if (days === 1) return "Yesterday";
    if (days <= 7) return "Last seven days";
    return new Date(time).toLocaleDateString(undefined, { month: "long", year: "numeric" });
}

/* What was found, between U+0002 and U+0003, becomes marked. */
function marked(excerpt) {
    return excerpt.split(/[\u0002\u0003]/).map((part, i) => (i % 2 === 1 ? element("mark", {}, part) : part));
}

const fileName = (title) => `${title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 50) || "conversation"}.json`;

export class Sidebar {
    /* acts: open(id), removed(id), renamed(id, title), imported(). */
    constructor(library, acts) {
        this.library = library;
        this.acts = acts;
        this.node = byId("conversations");
        this.current = null;
        this.words = "";
        this.shown = [];
        this.asked = 0;
        this.#bind();
    }

    #bind() {
        const search = byId("search");
        let timer;
        search.addEventListener("input", () => {
            clearTimeout(timer);
            timer = setTimeout(() => {
                this.words = search.value.trim();
                this.refresh();
            }, 150);
        });
        search.addEventListener("keydown", (event) => {
            if (event.key === "ArrowDown") this.node.querySelector("a")?.focus();
            else if (event.key === "Enter") this.node.querySelector("a")?.click();
            else return;
            event.preventDefault();
        });
        this.node.addEventListener("keydown", (event) => this.#onKey(event));
        byId("export-all").addEventListener("click", () => this.exportAll());
        byId("import").addEventListener("click", () => byId("import-file").click());
        byId("import-file").addEventListener("change", (event) => this.#importFrom(event.target));
    }

    #onKey(event) {
        const links = [...this.node.querySelectorAll("a")];
        const place = links.indexOf(document.activeElement);
        if (place < 0) return;
        const id = Number(links[place].closest("li").dataset.id);
        const one = this.shown.find((other) => other.id === id);
        if (event.key === "ArrowDown") links[Math.min(place + 1, links.length - 1)].focus();
        else if (event.key === "ArrowUp") (place === 0 ? byId("search") : links[place - 1]).focus();
        else if (event.key === "F2") this.#rename(one, links[place].closest("li"));
        else if (event.key === "Delete") this.#remove(one);
        else return;
        event.preventDefault();
    }

    /* ---- showing ---- */

    /* Reads the list again. Answers that come late are dropped. */
    async refresh() {
        const asked = ++this.asked;
        try {
            const limit = Math.max(PORTION, this.words ? 0 : this.shown.length);
            const { conversations, more } = await this.library.list({ words: this.words, limit });
            if (asked !== this.asked || this.node.querySelector("input") === document.activeElement) return;
            this.shown = conversations;
            this.#draw(more);
        } catch (error) {
            if (asked === this.asked) this.node.replaceChildren(element("p", { class: "empty", role: "alert" }, error.message));
        }
    }

    async #more() {
        try {
            const { conversations, more } =
                await this.library.list({ words: this.words, skip: this.shown.length, limit: PORTION });
            this.shown.push(...conversations);
            this.#draw(more);
        } catch (error) {
            notice(error.message);
        }
    }

    #draw(more) {
        const focused = document.activeElement?.closest?.("#conversations li")?.dataset.id;
        const parts = [];
        let day = null;
        for (const one of this.shown) {
            const itsDay = dayOf(one.updated);
            if (itsDay !== day) parts.push(element("h2", {}, day = itsDay), element("ul"));
            parts.at(-1).append(this.#row(one));
        }
        if (parts.length === 0)
            parts.push(element("p", { class: "empty" }, this.words ? "Nothing was found." : "No conversations yet."));
        if (more) parts.push(element("button", { type: "button", class: "more quiet", onclick: () => this.#more() }, "Show more"));
        this.node.replaceChildren(...parts);
        if (focused) this.node.querySelector(`li[data-id="${focused}"] a`)?.focus();
    }

    #row(one) {
        const row = element("li", { "data-id": String(one.id), "aria-current": one.id === this.current ? "true" : null },
            element("a", { href: `#/c/${one.id}`, title: one.title },
                element("span", { class: "title" }, one.title || "Untitled"),
                one.excerpt ? element("span", { class: "excerpt" }, ...marked(one.excerpt)) : null),
            element("span", { class: "acts" },
                iconButton("edit", "Rename (F2)", () => this.#rename(one, row), { tabindex: "-1" }),
                iconButton("export", "Export as JSON", () => this.exportOne(one), { tabindex: "-1" }),
                iconButton("trash", "Delete (Del)", () => this.#remove(one), { tabindex: "-1" })));
        return row;
    }

    setCurrent(id) {
        this.current = id;
        for (const row of this.node.querySelectorAll("li"))
            if (Number(row.dataset.id) === id) row.setAttribute("aria-current", "true");
            else row.removeAttribute("aria-current");
    }

    /* ---- what can be done ---- */

    #rename(one, row) {
        let isDone = false;
        const end = async (keeps) => {
            if (isDone) return;
            isDone = true;
            field.remove();
            const title = field.value.trim();
            if (keeps && title && title !== one.title) {
                try {
                    await this.library.change(one.id, { title });
                    this.acts.renamed(one.id, title);
                } catch (error) {
                    notice(error.message);
                }
            }
            await this.refresh();
            this.node.querySelector(`li[data-id="${one.id}"] a`)?.focus();
        };
        const field = element("input", { "aria-label": "Name of the conversation", maxlength: "200",
            value: one.title, onblur: () => end(true) });
        field.addEventListener("keydown", (event) => {
            event.stopPropagation();
            if (event.key === "Enter") end(true);
            if (event.key === "Escape") end(false);
        });
        row.replaceChildren(field);
        field.focus();
        field.select();
    }

    async #remove(one) {
        if (!await confirmed("Delete this conversation?", `“${one.title}” and all its branches will be gone.`, "Delete")) return;
        try {
            await this.library.remove(one.id);
            this.acts.removed(one.id);
        } catch (error) {
            notice(error.message);
        }
        await this.refresh();
    }

    async exportOne(one) {
        try {
            download(fileName(one.title), await this.library.exported(one.id));
        } catch (error) {
            notice(error.message);
        }
    }

    async exportAll() {
        try {
            download(`falconer-${new Date().toISOString().slice(0, 10)}.json`, await this.library.exported(null));
        } catch (error) {
            notice(error.message);
        }
    }

    async #importFrom(input) {
        const [file] = input.files;
        input.value = "";
        if (!file) return;
        try {
            const { ids } = await this.library.imported(JSON.parse(await file.text()));
            notice(`${ids.length} ${ids.length === 1 ? "conversation" : "conversations"} imported`);
            await this.refresh();
            if (ids.length === 1) this.acts.open(ids[0]);
        } catch (error) {
            notice(error instanceof SyntaxError ? "This is no JSON file." : error.message);
        }
    }
}
