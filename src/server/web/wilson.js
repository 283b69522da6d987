/* What votes say about a pair: the share that one side won, and how sure that is. */

/* The interval in which the true share lies with 95 per cent confidence, when `wins` of `n` were won.
 * Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, 1927. */
export function wilson(wins, n) {
    if (n === 0) return { share: 0.5, low: 0, high: 1 };
    const z = 1.959963984540054;
    const share = wins / n;
    const weight = 1 + (z * z) / n;
    const centre = (share + (z * z) / (2 * n)) / weight;
    const half = (z / weight) * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
    return { share, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

/* In words, for a pair {a_wins, b_wins, ties, neither}, of which a stands at the left; ties decide nothing. */
export function verdict({ a_wins: a, b_wins: b, ties, neither }) {
    const others = [[ties, ties === 1 ? "tie" : "ties"], [neither, "neither"]]
        .filter(([count]) => count > 0).map(([count, word]) => `, ${count} ${word}`).join("");
    if (a + b === 0) return `nothing decided yet${others}`;
    if (a === b) return `${a} : ${b}${others} · even`;
    const side = a > b ? "left" : "right";
    const { share, low, high } = wilson(Math.max(a, b), a + b);
    const percent = (value) => Math.round(value * 100);
    const judgement = low > 0.5 ? `the ${side} one is better` : "too few votes to tell";
    return `${a} : ${b}${others} · ${side} preferred in ${percent(share)} % `
        + `(95 % interval ${percent(low)} to ${percent(high)} %) · ${judgement}`;
}
