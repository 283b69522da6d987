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

/* Characters of code that get colours: of a block that is complete, of one that still grows. */
const MOST_CODE = 100000, MOST_GROWING_CODE = 4000;

const draft = { isGrowing: false, isIncomplete: false }; // of the block that is being made

function code({ text, lang }) {
    const name = (lang ?? "").trim().split(/\s+/)[0].toLowerCase();
    const known = name && libraries.highlighter.getLanguage(name);
    const waits = draft.isGrowing && text.length > MOST_GROWING_CODE;
    if (known && waits) draft.isIncomplete = true;
    const inner = known && !waits && text.length < MOST_CODE
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

/* What a container shows: the text, and per block of it the source and its nodes. */
const shown = new WeakMap();

/* Shows text in container. While a text grows only the blocks that changed are made again, and a long block of code waits for
 * its colours until it is complete. */
export function showMarkdown(container, text, isGrowing = false) {
    if (!marked) {
        container.classList.add("plain");
        container.textContent = text;
        return;
    }
    const former = shown.get(container) ?? { blocks: [] };
    if (former.text === text && former.isGrowing === isGrowing) return;
    const tokens = marked.lexer(text);
    const { blocks } = former;
    const grows = (i) => isGrowing && i === tokens.length - 1;
    const isSame = (i) => blocks[i]?.raw === tokens[i].raw && (grows(i) || !blocks[i].isIncomplete);
    let same = 0;
    while (same < tokens.length && isSame(same)) same++;
    for (const block of blocks.splice(same)) block.nodes.forEach((node) => node.remove());
    for (let i = same; i < tokens.length; i++) {
        Object.assign(draft, { isGrowing: grows(i), isIncomplete: false });
        const fragment = fragmentOf(marked.parser([tokens[i]]));
        blocks.push({ raw: tokens[i].raw, nodes: [...fragment.childNodes], isIncomplete: draft.isIncomplete });
        container.append(fragment);
    }
    shown.set(container, { text, isGrowing, blocks });
}
