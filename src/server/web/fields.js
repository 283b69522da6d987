/* Fields for a system prompt and sampling, used by the side panel and the comparison. A field left empty leaves the value to
 * the server. */
import { element } from "./dom.js";

export const SAMPLING = [
    { name: "temperature", label: "Temperature", min: 0, max: 2, step: 0.05, middle: 1, slides: true,
        note: "Lower is steadier; at 0 the most probable token is always taken." },
    { name: "top_p", label: "Top p", min: 0, max: 1, step: 0.01, middle: 1, slides: true,
        note: "Draws among the most probable tokens that together have this probability." },
    { name: "top_k", label: "Top k", min: 0, max: 1000, step: 1 },
    { name: "max_tokens", label: "Longest answer", min: 1, step: 1 },
    { name: "repetition_penalty", label: "Repetition", min: 0.5, max: 2, step: 0.01,
        title: "Repetition penalty: over 1, what was said is less probable" },
    { name: "frequency_penalty", label: "Frequency", min: -2, max: 2, step: 0.1,
        title: "Frequency penalty: subtracted for each time a token was used" },
    { name: "presence_penalty", label: "Presence", min: -2, max: 2, step: 0.1,
        title: "Presence penalty: subtracted once for a token that was used" },
    { name: "seed", label: "Seed", min: 0, step: 1 },
];

const byName = new Map(SAMPLING.map((field) => [field.name, field]));

function named(label) {
    return element("span", { class: "name" }, label);
}

function numberField(field, values, onchange, isPlain) {
    const { name, label, min, max, step, middle } = field;
    const slides = field.slides && !isPlain, note = isPlain ? null : field.note;
    const number = element("input", { type: "number", inputmode: "decimal", placeholder: "default", step: "any",
        title: field.title, "aria-label": label, "data-name": name, value: values[name]?.toString() ?? "" });
    if (min !== undefined) number.min = min;
    if (max !== undefined) number.max = max;
    const slider = !slides ? null : element("input", { type: "range", "aria-label": `${label}, slider`, min: String(min),
        max: String(max), step: String(step), value: String(values[name] ?? middle), tabindex: "-1" });
    const take = (text) => {
        const value = text === "" ? NaN : Number(text);
        if (Number.isFinite(value) && number.checkValidity()) values[name] = value;
        else delete values[name];
        onchange(values);
    };
    number.addEventListener("input", () => {
        if (slider) slider.value = number.value === "" ? middle : number.value;
        take(number.value);
    });
    slider?.addEventListener("input", () => {
        number.value = slider.value;
        take(slider.value);
    });
    return element("label", { class: "field" }, named(label),
        slider ? element("span", { class: "pair" }, slider, number) : number,
        note ? element("span", { class: "note" }, note) : null);
}

/* Fields for these names of SAMPLING, which write into values; plain ones are numbers without slider and note. */
export function numberFields(names, values, onchange, isPlain = false) {
    return names.map((name) => numberField(byName.get(name), values, onchange, isPlain));
}

export function textField(label, value, onchange, { rows = 4, note, placeholder = "", name } = {}) {
    const area = element("textarea", { rows: String(rows), placeholder, "data-name": name, spellcheck: "true",
        oninput: () => onchange(area.value) });
    area.value = value;
    return element("label", { class: "field" }, named(label), area,
        note ? element("span", { class: "note" }, note) : null);
}

export function checkField(label, value, onchange, name) {
    const box = element("input", { type: "checkbox", "data-name": name, checked: value, onchange: () => onchange(box.checked) });
    return element("label", { class: "field check" }, box, label);
}

export function choiceField(label, choices, value, onchange, name) {
    const select = element("select", { "data-name": name, onchange: () => onchange(select.value) },
        ...choices.map((choice) => element("option", { value: choice }, choice)));
    if (choices.includes(value)) select.value = value;
    return element("label", { class: "field" }, named(label), select);
}
