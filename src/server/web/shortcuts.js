/* The keyboard: one list says what keys do, and is what ? shows. Single letters work only where nothing is typed. */
import { ask, device, element } from "./dom.js";

const isTyping = (target) => target.closest?.("input:not([type=range], [type=checkbox]), textarea, select, [contenteditable]");

let isOpen = false;

export async function showShortcuts(list) {
    if (isOpen) return;
    isOpen = true;
    const rows = list.flatMap(({ keys, words }) => [
        element("dt", {}, ...keys.flatMap((key, i) => [i ? " " : "", element("kbd", {}, key)])), element("dd", {}, words)]);
    const box = element("input", { type: "checkbox", checked: device.get("letters") !== false,
        onchange: () => device.set("letters", box.checked) });
    await ask("Keyboard", [element("dl", {}, ...rows),
        element("label", { class: "field check" }, box, "Single letters are shortcuts")],
    [{ label: "Close", class: "main", autofocus: true, value: () => null }]);
    isOpen = false;
}

/* list: rows {keys: as shown, words, key: as in KeyboardEvent.key, control, act}. A row without act only informs. */
export function listen(list) {
    addEventListener("keydown", (event) => {
        if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
        const control = event.ctrlKey || event.metaKey;
        const row = list.find(({ key, control: wanted, act }) => act && key === event.key && Boolean(wanted) === control);
        if (!row || event.altKey) return;
        if (!row.control && row.key !== "Escape" && (isTyping(event.target) || device.get("letters") === false)) return;
        if (row.act(event) !== false) event.preventDefault();
    });
}
