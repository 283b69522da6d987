/* Which of two is better? One question, two answers side by side, and nobody is told which is whose before the vote. Both
 * grow at the pace of the slower one, so that speed gives nothing away. */
import { answer } from "./api.js";
import { announce, byId, device, element, notice } from "./dom.js";
import { choiceField, numberFields, textField } from "./fields.js";
import { showMarkdown } from "./markdown.js";
import { verdict, wilson } from "./wilson.js";

const FIELDS = ["temperature", "top_p", "max_tokens", "repetition_penalty"];
const VOTES = [
    { key: "1", label: "Left is better", side: 0 },
    { key: "0", label: "Equally good", winner: "tie" },
    { key: "9", label: "Neither is good", winner: "neither" },
    { key: "2", label: "Right is better", side: 1 },
];

/* What identifies an arm, for counting and for people. */
function describe({ model, system, ...parameters }) {
    const facts = Object.entries(parameters).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`);
    if (system) facts.push(`“${system.length > 40 ? `${system.slice(0, 40)}…` : system}”`);
    return { model: model || "?", facts: facts.join(" · ") || "default settings" };
}

export class Comparison {
    constructor(library, models) {
        this.library = library;
        this.models = models.map(({ id }) => id);
        const kept = device.get("arms") ?? [{}, { temperature: 0 }];
        this.arms = kept.map((arm) => ({ ...arm, model: this.models.includes(arm.model) ? arm.model : this.models[0] ?? "" }));
        this.round = null;
        this.node = byId("compare");
        this.#build();
    }

    /* ---- what is compared ---- */

    #build() {
        const arms = ["First", "Second"].map((label, i) => this.#armFields(label, this.arms[i]));
        const prompt = element("textarea", { rows: "2", placeholder: "A question to both", "aria-label": "Question to both" });
        const ask = element("button", { type: "submit", class: "main" }, "Ask both");
        const form = element("form", { onsubmit: (event) => {
            event.preventDefault();
            this.#ask(prompt.value.trim());
        } }, prompt, ask);
        prompt.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            form.requestSubmit();
        });
        this.setting = element("details", { open: true }, element("summary", {}, "What is compared"),
            element("div", { class: "two" }, ...arms));
        this.prompt = prompt;
        this.button = ask;
        this.answers = element("div", { class: "two", hidden: true });
        this.votes = element("div", { class: "votes", role: "group", "aria-label": "Your vote", hidden: true });
        this.results = element("section", { class: "results", "aria-label": "Results" });
        this.node.replaceChildren(element("div", { class: "compare" },
            element("p", { class: "lead" }, "Both answer the same question, in an order that only chance knows. "
                + "You vote, then you are told which was which."),
            this.setting, form, this.answers, this.votes, this.results));
    }

    #armFields(label, arm) {
        const changed = () => device.set("arms", this.arms.map(({ system, ...rest }) => rest));
        return element("div", { class: "arm" }, element("h2", {}, label),
            choiceField("Model", this.models, arm.model, (value) => {
                arm.model = value;
                changed();
            }, "model"),
            element("div", { class: "columns" }, ...numberFields(FIELDS, arm, changed, true)),
            textField("System prompt", arm.system ?? "", (text) => {
                if (text.trim()) arm.system = text;
                else delete arm.system;
            }, { rows: 2, name: "system" }));
    }

    /* ---- one round ---- */

    async #ask(question) {
        if (!question || this.round?.isRunning) return;
        const order = crypto.getRandomValues(new Uint8Array(1))[0] & 1 ? [0, 1] : [1, 0];
        const controller = new AbortController();
        const sides = order.map((which, side) => {
            const text = element("div", { class: "text" });
            const name = element("span", { class: "reveal" });
            const node = element("div", { class: "answer message waiting", "aria-label": side ? "Right answer" : "Left answer" },
                element("h2", {}, side ? "Right" : "Left", name), text);
            return { arm: structuredClone(this.arms[which]), text, name, node, pieces: [], isDone: false, failure: null };
        });
        this.round = { question, sides, controller, isRunning: true };
        this.answers.replaceChildren(...sides.map(({ node }) => node));
        this.answers.hidden = false;
        this.setting.open = false;
        this.#showVotes([element("button", { type: "button", onclick: () => controller.abort() }, "Stop")]);
        this.button.disabled = true;
        const { round } = this;
        await Promise.all(sides.map((side) => this.#run(side, round)));
        round.isRunning = false;
        this.button.disabled = false;
        this.#draw(round);
        if (sides.some((side) => side.failure || !side.pieces.length)) this.#showVotes([]);
        else this.#offerVotes(round);
    }

    async #run(side, { question, controller, sides }) {
        const { model, system, ...parameters } = side.arm;
        const messages = [...system ? [{ role: "system", content: system }] : [], { role: "user", content: question }];
        try {
            await answer({ model, messages, parameters, signal: controller.signal, onText: (piece) => {
                side.pieces.push(piece);
                requestAnimationFrame(() => this.#draw({ sides }));
            } });
        } catch (error) {
            side.failure = error.message;
        }
        side.isDone = true;
        this.#draw({ sides });
    }

    #draw({ sides }) {
        const growing = sides.filter(({ isDone }) => !isDone).map(({ pieces }) => pieces.length);
        const n = growing.length > 0 ? Math.min(...growing) : Infinity;
        for (const { node, text, pieces, failure } of sides) {
            const shown = pieces.slice(0, n).join("");
            if (failure) text.textContent = failure;
            else showMarkdown(text, shown, growing.length > 0);
            node.classList.toggle("waiting", growing.length > 0 && !shown);
        }
    }

    #showVotes(buttons) {
        this.votes.replaceChildren(...buttons);
        this.votes.hidden = buttons.length === 0;
    }

    #offerVotes(round) {
        this.#showVotes(VOTES.map((vote) => element("button", {
            type: "button", title: vote.key, onclick: () => this.#vote(round, vote),
        }, vote.label, element("kbd", {}, vote.key))));
        this.votes.querySelector("button").focus({ preventScroll: true });
        announce("Both answers are complete. Please vote.");
    }

    /* Keyboard: whether the key was a vote. */
    key(key) {
        const vote = VOTES.find((one) => one.key === key);
        const isOffered = this.round && !this.round.isRunning && !this.round.isVoted && !this.votes.hidden;
        if (vote && isOffered) this.#vote(this.round, vote);
        return Boolean(vote && isOffered);
    }

    async #vote(round, { side, winner }) {
        if (round.isVoted) return;
        round.isVoted = true;
        const [left, right] = round.sides;
        left.node.classList.toggle("chosen", side === 0);
        right.node.classList.toggle("chosen", side === 1);
        for (const { arm, name } of round.sides) {
            const { model, facts } = describe(arm);
            name.textContent = `${model}, ${facts}`;
        }
        const next = element("button", { type: "button", class: "main", onclick: () => {
            this.answers.hidden = true;
            this.#showVotes([]);
            this.prompt.value = "";
            this.prompt.focus();
        } }, "Next question");
        this.#showVotes([next]);
        next.focus({ preventScroll: true });
        try {
            await this.library.vote({ a: left.arm, b: right.arm, winner: winner ?? (side === 0 ? "a" : "b"),
                prompt: round.question, answer_a: left.pieces.join(""), answer_b: right.pieces.join("") });
        } catch (error) {
            notice(`The vote is not kept: ${error.message}`);
        }
        await this.showResults();
    }

    /* ---- what came out ---- */

    async showResults() {
        let pairs = [];
        try {
            ({ pairs } = await this.library.votes());
        } catch (error) {
            this.results.replaceChildren(element("p", { class: "none", role: "alert" }, error.message));
            return;
        }
        this.results.replaceChildren(element("h2", {}, "Results"), ...pairs.length === 0
            ? [element("p", { class: "none" }, "No votes yet.")] : pairs.map((pair) => this.#pair(pair)));
    }

    #pair(pair) {
        const who = (arm) => {
            const { model, facts } = describe(arm);
            return element("div", { class: "who" }, model, element("small", {}, facts));
        };
        const { share, low, high } = wilson(pair.b_wins, pair.a_wins + pair.b_wins);
        const range = element("span", { class: "range" });
        const point = element("span", { class: "point" });
        range.style.left = `${low * 100}%`;
        range.style.width = `${(high - low) * 100}%`;
        point.style.left = `${share * 100}%`;
        return element("div", { class: "pair-result" }, who(pair.a),
            element("span", { class: "rail", "aria-hidden": "true" }, element("span", { class: "half" }), range, point),
            who(pair.b), element("div", { class: "words" }, verdict(pair)));
    }
}
