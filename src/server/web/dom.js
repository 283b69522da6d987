/* Building what is seen: elements, icons, notices, dialogs. Text always goes in as text. */

const SVG = "http://www.w3.org/2000/svg";

/* Attributes by name; "on…" holds a listener, a value of false, null or undefined leaves the attribute out. */
export function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === false || value === null || value === undefined) continue;
        if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
        else if (name in node && typeof value !== "string") node[name] = value;
        else if (name === "value") node.value = value;
        else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
}

export function icon(name) {
    const svg = document.createElementNS(SVG, "svg");
    const use = document.createElementNS(SVG, "use");
    use.setAttribute("href", `#i-${name}`);
    svg.setAttribute("aria-hidden", "true");
    svg.append(use);
    return svg;
}

export function iconButton(name, label, onclick, extra = {}) {
    return element("button", { type: "button", class: "icon small", "aria-label": label, title: label, onclick, ...extra },
        icon(name));
}

export const byId = (id) => document.getElementById(id);

/* A short word at the edge of the page, also spoken by screen readers. */
export function notice(text) {
    const note = element("div", {}, text);
    byId("notices").append(note);
    setTimeout(() => note.remove(), 4000);
}

/* Spoken only. */
export function announce(text) {
    const note = element("div", { class: "unseen" }, text);
    byId("notices").append(note);
    setTimeout(() => note.remove(), 2000);
}

/* Shows a dialog with this content; resolves to what the pressed button returns, or null when it was left. The last button
 * is also that of the Enter key. */
export function ask(title, content, buttons) {
    return new Promise((resolve) => {
        let answer = null;
        const dialog = element("dialog", { "aria-label": title, onclose: () => { dialog.remove(); resolve(answer); } },
            element("h2", {}, title), ...content,
            element("div", { class: "buttons" }, ...buttons.map((button) =>
                element("button", {
                    type: "button", class: button.class ?? "", autofocus: button.autofocus,
                    onclick: () => { answer = button.value(); dialog.close(); },
                }, button.label))));
        dialog.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" || event.target.tagName !== "INPUT" || event.isComposing) return;
            event.preventDefault();
            dialog.querySelector(".buttons button:last-child").click();
        });
        dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
        document.body.append(dialog);
        dialog.showModal();
    });
}

export function confirmed(title, text, action) {
    return ask(title, [element("p", {}, text)], [
        { label: "Cancel", value: () => false },
        { label: action, class: "bad", autofocus: true, value: () => true },
    ]);
}

/* Hands a JSON document to the browser as a file. */
export function download(name, document_) {
    const url = URL.createObjectURL(new Blob([JSON.stringify(document_, null, 2)], { type: "application/json" }));
    element("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
}

export async function copy(text) {
    try {
        await navigator.clipboard.writeText(text);
        notice("Copied");
    } catch {
        notice("The browser does not let this page copy");
    }
}

/* What this device remembers of the page; without storage nothing, and no harm. */
export const device = {
    get(name) {
        try {
            return JSON.parse(localStorage.getItem(`falconer.${name}`));
        } catch {
            return null;
        }
    },
    set(name, value) {
        try {
            localStorage.setItem(`falconer.${name}`, JSON.stringify(value));
        } catch { /* kept until the page is left */ }
    },
};
