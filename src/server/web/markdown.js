/* Texts of answers as Markdown, safely: raw HTML is shown as text, images are links, and what is left passes a sanitiser
 * that knows the few elements which Markdown makes. Without the libraries, texts are shown as they are. */
import { copy, element } from "./dom.js";
import { libraries } from "./libraries.js";

const ELEMENTS = ["a", "blockquote", "br", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol",
    "p", "pre", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"];
const ATTRIBUTES = ["align", "class", "href", "start", "title"];
const SAFE_ADDRESS = /^(?:https?:|mailto:)/i;

function escaped(text) {
    return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/* An address as it can stand in an attribute; "" if it is not one that may be followed. */
function address(href) {
    return SAFE_ADDRESS.test(href ?? "") ? escaped(href) : "";
}

function link(href, inner) {
    const safe = address(href);
    return safe ? `<a href="${safe}">${inner}</a>` : inner;
}

function code({ text, lang }) {
    const name = (lang ?? "").trim().split(/\s+/)[0].toLowerCase();
    const known = name && libraries.highlighter.getLanguage(name);
    const inner = known && text.length < 100000
        ? libraries.highlighter.highlight(text, { language: name, ignoreIllegals: true }).value : escaped(text);
    return `<div class="code"><div class="head"><span>${escaped(name || "text")}</span></div>`
        + `<pre><code>${inner}\n</code></pre></div>`;
}

const marked = libraries && new libraries.Marked({
    gfm: true,
    renderer: {
        html: ({ text, block }) => (block ? `<p>${escaped(text.trim())}</p>` : escaped(text)),
        image: ({ href, text }) => link(href, escaped(text || "image")),
        link({ href, tokens }) {
            return link(href, this.parser.parseInline(tokens));
        },
        checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
        listitem({ task, tokens }) {
            return `<li${task ? ' class="task"' : ""}>${this.parser.parse(tokens)}</li>\n`;
        },
        code,
    },
});

function finish(fragment) {
    for (const anchor of fragment.querySelectorAll("a")) {
        anchor.target = "_blank";
        anchor.rel = "noopener noreferrer nofollow";
    }
    for (const block of fragment.querySelectorAll("div.code")) {
        const pre = block.querySelector("pre");
        if (!pre) continue;
        pre.tabIndex = 0;
        block.querySelector(".head")?.append(element("button", {
            type: "button", onclick: () => copy(pre.textContent.replace(/\n$/, "")),
        }, "Copy"));
    }
    return fragment;
}

function fragmentOf(html) {
    return finish(libraries.purify.sanitize(html, {
        ALLOWED_TAGS: ELEMENTS, ALLOWED_ATTR: ATTRIBUTES, ALLOWED_URI_REGEXP: SAFE_ADDRESS, ALLOW_DATA_ATTR: false,
        ALLOW_ARIA_ATTR: false, ADD_URI_SAFE_ATTR: ["align", "start"], RETURN_DOM_FRAGMENT: true,
    }));
}

/* What a container shows: per block of the text its source and its nodes. */
const shown = new WeakMap();

/* Shows text in container. While a text grows only the blocks that changed are made again. */
export function showMarkdown(container, text) {
    if (!marked) {
        container.classList.add("plain");
        container.textContent = text;
        return;
    }
    const tokens = marked.lexer(text);
    const blocks = shown.get(container) ?? [];
    let same = 0;
    while (same < blocks.length && same < tokens.length && blocks[same].raw === tokens[same].raw) same++;
    for (const block of blocks.splice(same)) block.nodes.forEach((node) => node.remove());
    for (const token of tokens.slice(same)) {
        const fragment = fragmentOf(marked.parser([token]));
        blocks.push({ raw: token.raw, nodes: [...fragment.childNodes] });
        container.append(fragment);
    }
    shown.set(container, blocks);
}
