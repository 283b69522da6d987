/* The side panel: the system prompt and the sampling of the conversation that is open. */
import { byId, element } from "./dom.js";
import { checkField, numberFields, textField } from "./fields.js";

export class Panel {
    constructor(chat, { keepsNothing, version }) {
        this.chat = chat;
        this.node = byId("settings");
        this.keepsNothing = keepsNothing;
        this.version = version;
        this.shown = null;
        this.timer = null;
        byId("toggle-panel").addEventListener("click", () => this.toggle());
        byId("close-panel").addEventListener("click", () => this.toggle(false));
    }

    toggle(opens = byId("panel").hidden) {
        byId("panel").hidden = !opens;
        byId("toggle-panel").setAttribute("aria-expanded", String(opens));
        if (opens) this.node.querySelector("textarea")?.focus();
        else byId("toggle-panel").focus();
    }

    /* Fields of another conversation; those that are shown already stay, for somebody may be typing. */
    show() {
        const { conversation } = this.chat;
        if (conversation === this.shown) return;
        this.shown = conversation;
        const { parameters } = conversation;
        const changed = () => {
            clearTimeout(this.timer);
            this.timer = setTimeout(() => this.chat.settingsChanged(), 300);
        };
        this.node.replaceChildren(
            textField("System prompt", conversation.system, (text) => {
                conversation.system = text;
                changed();
            }, { rows: 6, placeholder: "How the assistant should behave", name: "system" }),
            element("hr"),
            ...numberFields(["temperature", "top_p"], parameters, changed),
            element("div", { class: "columns" }, ...numberFields(["top_k", "max_tokens"], parameters, changed)),
            element("fieldset", {}, element("legend", {}, "Penalties"), element("div", { class: "columns three" },
                ...numberFields(["repetition_penalty", "frequency_penalty", "presence_penalty"], parameters, changed))),
            element("div", { class: "columns" }, ...numberFields(["seed"], parameters, changed)),
            textField("Stop words", (parameters.stop ?? []).join("\n"), (text) => {
                const words = text.split("\n").filter(Boolean);
                if (words.length > 0) parameters.stop = words;
                else delete parameters.stop;
                changed();
            }, { rows: 2, note: "One per line; the answer ends before it.", name: "stop" }),
            checkField("Forget the beginning when the context is full", parameters.truncation === "auto", (forgets) => {
                if (forgets) parameters.truncation = "auto";
                else delete parameters.truncation;
                changed();
            }, "truncation"),
            element("p", { class: "small-print" }, this.keepsNothing
                ? "This server keeps no conversations: they are gone when the window is closed."
                : "Conversations, with these settings, are kept on this server and nowhere else."),
            element("p", { class: "small-print" }, `falconer ${this.version} · `,
                element("a", { href: "/licenses", target: "_blank" }, "Licences")));
    }
}
