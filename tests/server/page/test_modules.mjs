/* The modules of the page that know no page: the tree of a conversation, Wilson's interval, the library of a window.
 * Usage: test_modules.mjs WEB */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const web = pathToFileURL(`${process.argv[2]}/`);
const { Conversation, titleOf } = await import(new URL("tree.js", web));
const { verdict, wilson } = await import(new URL("wilson.js", web));
const { WindowLibrary } = await import(new URL("library.js", web));

test("Wilson's interval", () => {
    /* Both ends solve (share - end)^2 = z^2 end (1 - end) / n, one below the share, one above. */
    const z = 1.959963984540054;
    for (const [wins, n] of [[8, 10], [1, 2], [3, 7], [50, 100], [1, 400], [399, 400]]) {
        const { share, low, high } = wilson(wins, n);
        assert.equal(share, wins / n);
        for (const end of [low, high])
            assert.ok(Math.abs((share - end) ** 2 - z * z * end * (1 - end) / n) < 1e-12, `${wins} of ${n}: ${end}`);
        assert.ok(low < share && share < high);
    }
    const { low, high } = wilson(8, 10); // as tables have it
    assert.deepEqual([low.toFixed(4), high.toFixed(4)], ["0.4902", "0.9433"]);
    assert.equal(wilson(0, 10).low, 0);
    assert.ok(Math.abs(wilson(10, 10).high - 1) < 1e-12);
    assert.deepEqual(wilson(0, 0), { share: 0.5, low: 0, high: 1 });
});

test("verdicts", () => {
    const of = (a_wins, b_wins, ties = 0, neither = 0) => verdict({ a_wins, b_wins, ties, neither });
    assert.match(of(0, 0, 2), /nothing decided yet, 2 ties/);
    assert.match(of(9, 1), /^9 : 1 · left preferred in 90 % \(95 % interval 60 to 98 %\) · the left one is better$/);
    assert.match(of(1, 9, 1, 3), /^1 : 9, 1 tie, 3 neither · right .* the right one is better$/);
    assert.equal(of(2, 2), "2 : 2 · even");
    assert.match(of(3, 2), /too few votes to tell/);
});

test("branches", () => {
    const one = new Conversation({ system: "Be brief." });
    const question = one.add("user", "a", null);
    const first = one.add("assistant", "b", question);
    const next = one.add("user", "c", first);
    const last = one.add("assistant", "d", next);
    const second = one.add("assistant", "e", question);
    assert.deepEqual(one.path().map(({ text }) => text), ["a", "e"]);
    assert.deepEqual(one.branches(second), [first, second]);
    assert.ok(one.turn(second, -1));
    assert.equal(one.leaf, last); // down to where that branch had come
    assert.ok(!one.turn(first, -1));
    assert.deepEqual(one.prompt(next), [{ role: "system", content: "Be brief." }, { role: "user", content: "a" },
        { role: "assistant", content: "b" }, { role: "user", content: "c" }]);
    one.drop(last);
    assert.equal(one.leaf, next);
});

test("titles", () => {
    assert.equal(titleOf("\n\n## Hello world\nmore"), "Hello world");
    assert.equal(titleOf("  \n"), "Untitled");
    assert.ok(titleOf("word ".repeat(40)).length <= 61);
    assert.ok(titleOf("x".repeat(200)).length <= 61);
});

test("the library of a window has the face of the server's", async () => {
    const library = new WindowLibrary();
    const { id } = await library.create({ title: "Falcons", system: "s" });
    const asked = await library.addMessage(id, { role: "user", text: "How fast?", parent: null });
    const told = await library.addMessage(id, { role: "assistant", text: "Very", parent: asked.id });
    await library.changeMessage(id, told.id, { text: "Very fast" });
    const read = await library.read(id);
    assert.deepEqual(read.messages.map(({ text, parent }) => [text, parent]), [["How fast?", null], ["Very fast", asked.id]]);
    assert.equal(read.leaf, told.id);
    assert.equal((await library.list({ words: "very how" })).conversations.length, 1);
    assert.equal((await library.list({ words: "slow" })).conversations.length, 0);
    await library.vote({ a: { model: "x" }, b: { model: "y" }, winner: "a" });
    await library.vote({ a: { model: "y" }, b: { model: "x" }, winner: "b" });
    await library.vote({ a: { model: "y" }, b: { model: "x" }, winner: "tie" });
    const document = await library.exported(null);
    const other = new WindowLibrary();
    await other.create({ title: "taken" });
    const { ids, votes } = await other.imported(document);
    assert.equal(votes, 3);
    const again = await other.read(ids[0]);
    assert.equal(again.leaf, again.messages[1].id);
    assert.equal(again.messages[1].parent, again.messages[0].id);
    const [pair] = (await other.votes()).pairs;
    assert.deepEqual([pair.a_wins, pair.b_wins, pair.ties], pair.a.model === "x" ? [2, 0, 1] : [0, 2, 1]);
    await assert.rejects(other.imported({ format: "else" }));
    await library.remove(id);
    await assert.rejects(library.read(id));
});
