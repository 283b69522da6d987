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

/* In words, for a pair {a_wins, b_wins, ties, neither}; ties decide nothing. */
export function verdict({ a_wins: a, b_wins: b, ties, neither }) {
    const n = a + b;
    const { share, low, high } = wilson(b, n);
    const percent = (value) => `${Math.round(value * 100)} %`;
    const others = [[ties, "tie", "ties"], [neither, "neither", "neither"]]
        .filter(([count]) => count > 0).map(([count, one, many]) => `, ${count} ${count === 1 ? one : many}`).join("");
    if (n === 0) return `nothing decided yet${others}`;
    const judgement = low > 0.5 ? "the right one is better" : high < 0.5 ? "the left one is better" : "not decided";
    return `${a} : ${b}${others} · right wins ${percent(share)}, with 95 % confidence ${percent(low)} to ${percent(high)}: ${judgement}`;
}
