/* The page as a whole: what is open by the address, what the parts tell one another, the keyboard. */
import { request } from "./api.js";
import { Chat } from "./chat.js";
import { Comparison } from "./compare.js";
import { byId, copy, device, element, notice } from "./dom.js";
import { ServerLibrary, WindowLibrary } from "./library.js";
import { Panel } from "./panel.js";
import { listen, showShortcuts } from "./shortcuts.js";
import { Sidebar } from "./sidebar.js";

const narrow = matchMedia("(max-width: 760px)");

/* ---- frame ---- */

/* The list of conversations: beside the rest where there is room, a drawer over it where there is not. */
function toggleSidebar(opens) {
    const { classList } = document.body;
    if (narrow.matches) {
        classList.toggle("with-drawer", opens ?? !classList.contains("with-drawer"));
        const isOpen = classList.contains("with-drawer");
        byId("scrim").hidden = !isOpen;
        byId("main").inert = isOpen;
        if (isOpen) byId("close-sidebar").focus();
    } else {
        classList.toggle("without-sidebar", opens === undefined ? undefined : !opens);
        device.set("sidebar", !classList.contains("without-sidebar"));
    }
    const isOpen = narrow.matches ? classList.contains("with-drawer") : !classList.contains("without-sidebar");
    byId("toggle-sidebar").setAttribute("aria-expanded", String(isOpen));
}

const THEMES = { system: "Colours of the system", light: "Light", dark: "Dark" };

function setTheme(theme) {
    const root = document.documentElement;
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
        localStorage.setItem("falconer.theme", theme);
    } catch { /* holds until the page is left */ }
    byId("theme").title = `${THEMES[theme]} (d)`;
}

function nextTheme() {
    const names = Object.keys(THEMES);
    const theme = names[(names.indexOf(document.documentElement.dataset.theme ?? "system") + 1) % names.length];
    setTheme(theme);
    notice(THEMES[theme]);
}

function showBanner(text, onAgain) {
    const banner = byId("banner");
    banner.hidden = !text;
    banner.querySelector("span").textContent = text ?? "";
    const button = banner.querySelector("button");
    button.hidden = !onAgain;
    button.onclick = onAgain;
}

/* ---- what the bar tells ---- */

function showContext(chat) {
    const { context } = chat.model;
    const { used } = chat;
    const meter = byId("context");
    meter.hidden = !context;
    if (!context) return;
    const share = Math.min(used / context, 1);
    const words = `${used.toLocaleString()} of ${context.toLocaleString()} tokens`;
    meter.querySelector(".fill").style.width = `${share * 100}%`;
    meter.querySelector(".figure").textContent = `${used.toLocaleString()} / ${context.toLocaleString()}`;
    meter.classList.toggle("near", share > 0.9);
    meter.title = `Context: ${words}`;
    meter.setAttribute("aria-valuemax", String(context));
    meter.setAttribute("aria-valuenow", String(used));
    meter.setAttribute("aria-valuetext", words);
}

function showModels(chat) {
    const select = byId("model");
    select.disabled = chat.models.length < 2;
    select.replaceChildren(...chat.models.map(({ id }) => element("option", { value: id }, id)));
    select.addEventListener("change", () => {
        device.set("model", select.value);
        chat.conversation.parameters.model = select.value;
        chat.settingsChanged();
    });
}

/* ---- start ---- */

async function pageFacts() {
    try {
        return await request("/api/page");
    } catch (error) {
        showBanner(error.message, () => location.reload());
        return null;
    }
}

function shortcutsOf({ chat, comparison, panel }) {
    const isComparing = () => location.hash === "#/compare";
    const voting = (key) => ({ key, act: () => isComparing() && comparison.key(key) });
    const list = [
        { keys: ["Enter"], words: "send; with Shift begin another line" },
        { keys: ["Esc"], key: "Escape", words: "stop the answer; leave a field", act: () => {
            if (document.body.classList.contains("with-drawer")) toggleSidebar(false);
            else if (chat.isRunning && !isComparing()) chat.stop();
            else document.activeElement?.blur();
        } },
        { keys: ["n"], key: "n", words: "new conversation", act: () => byId("new-conversation").click() },
        { keys: ["/"], key: "/", words: "write a message", act: () => (isComparing() ? comparison.prompt : byId("prompt")).focus() },
        { keys: ["Ctrl", "K"], key: "k", control: true, words: "search conversations", act: () => {
            toggleSidebar(true);
            byId("search").focus();
        } },
        { keys: ["j", "k"], key: "j", words: "next message, message before", act: () => chat.thread.move(1) },
        { key: "k", act: () => chat.thread.move(-1) },
        { keys: ["e"], key: "e", words: "edit the last message, or the one that has the focus", act: () => {
            const view = chat.thread.current();
            const asked = view?.message.role === "user" ? view : chat.thread.views.get(view?.message.parent?.key);
            if (asked && !chat.isRunning) asked.edit();
        } },
        { keys: ["r"], key: "r", words: "answer again", act: () => {
            const view = chat.thread.current();
            if (view) chat.again(view.message);
        } },
        { keys: ["c"], key: "c", words: "copy the message", act: () => {
            const view = chat.thread.current();
            if (view) copy(view.message.text);
        } },
        { keys: ["s"], key: "s", words: "settings", act: () => panel.toggle() },
        { keys: ["b"], key: "b", words: "list of conversations", act: () => toggleSidebar() },
        { keys: ["v"], key: "v", words: "compare two models or settings", act: () => byId("open-compare").click() },
        { keys: ["d"], key: "d", words: "colours: system, light, dark", act: nextTheme },
        { keys: ["?"], key: "?", words: "this list", act: () => showShortcuts(list.filter(({ words }) => words)) },
        ...["0", "1", "2", "9"].map(voting),
    ];
    return list;
}

async function start() {
    setTheme(document.documentElement.dataset.theme ?? "system");
    if (device.get("sidebar") === false && !narrow.matches) toggleSidebar(false);
    const facts = await pageFacts();
    if (!facts) return;
    const { models, store, version } = facts;
    const library = store.keeps ? new ServerLibrary() : new WindowLibrary();
    const chat = new Chat({
        library, models,
        onChange: () => update(),
        onKept: () => {
            update();
            sidebar.refresh();
        },
        onState: (error) => showBanner(error && `Not kept: ${error.message}`, error && (() => chat.keeper.again())),
    });
    const sidebar = new Sidebar(library, {
        open: (id) => goTo(`#/c/${id}`),
        removed: (id) => {
            if (chat.conversation.id === id) history.replaceState(null, "", "#/");
            chat.forget(id);
        },
        renamed: (id, title) => {
            if (chat.conversation.id !== id) return;
            chat.conversation.title = title;
            chat.settingsChanged();
        },
    });
    const comparison = new Comparison(library, models);
    const panel = new Panel(chat, { keepsNothing: !store.keeps, version });
    chat.thread.welcome = store.keeps ? "Conversations are kept on this server."
        : "This server keeps nothing: what is said here is gone when the window is closed.";
    if (store.why) showBanner(`Conversations are not kept: ${store.why}.`);

    function update() {
        const { conversation, isRunning } = chat;
        const isComparing = location.hash === "#/compare";
        byId("title").textContent = isComparing ? "Blind comparison" : conversation.title || "New conversation";
        document.title = isComparing || !conversation.title ? "falconer" : `${conversation.title} – falconer`;
        byId("send").hidden = isRunning;
        byId("stop").hidden = !isRunning;
        byId("model").value = chat.model.id;
        byId("model").parentElement.hidden = isComparing;
        byId("toggle-panel").hidden = isComparing;
        showContext(chat);
        if (isComparing) byId("context").hidden = true;
        panel.show();
        sidebar.setCurrent(isComparing ? null : conversation.id);
        /* One that was fresh has got its address. */
        if (conversation.id && ["", "#/"].includes(location.hash))
            history.replaceState(null, "", `#/c/${conversation.id}`);
    }

    async function route() {
        const isComparing = location.hash === "#/compare";
        const id = Number(/^#\/c\/(\d+)$/.exec(location.hash)?.[1]);
        byId("chat").hidden = isComparing;
        byId("compare").hidden = !isComparing;
        if (narrow.matches) toggleSidebar(false);
        if (isComparing) {
            if (!byId("panel").hidden) panel.toggle(false);
            if (!chat.conversation) chat.begin();
            comparison.prompt.focus({ preventScroll: true }); // before what takes time: then the reader may be elsewhere
            await comparison.showResults();
        } else if (id) {
            try {
                if (id !== chat.conversation?.id) await chat.open(id);
            } catch (error) {
                notice(error.message);
                history.replaceState(null, "", "#/");
                chat.begin();
            }
        } else chat.begin();
        update();
    }

    /* At once: between a change of location.hash and the event that tells of it, the address would be another's. */
    function goTo(hash) {
        if (location.hash !== hash) history.pushState(null, "", hash);
        return route();
    }

    const shortcuts = shortcutsOf({ chat, comparison, panel });
    listen(shortcuts);
    showModels(chat);
    byId("help").addEventListener("click", () => showShortcuts(shortcuts.filter(({ words }) => words)));
    byId("theme").addEventListener("click", nextTheme);
    byId("toggle-sidebar").addEventListener("click", () => toggleSidebar());
    byId("close-sidebar").addEventListener("click", () => toggleSidebar(false));
    byId("scrim").addEventListener("click", () => toggleSidebar(false));
    byId("new-conversation").addEventListener("click", () => goTo("#/"));
    byId("open-compare").addEventListener("click", () => goTo("#/compare"));
    addEventListener("hashchange", route);
    await Promise.all([sidebar.refresh(), route()]);
}

start();
