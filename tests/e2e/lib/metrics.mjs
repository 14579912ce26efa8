// What a pilotfish counts, as numbers.

/** All series of a pilotfish as `[name, labels, value]`. */
export async function series(proxy) {
    const text = await (await fetch(`http://${proxy.admin}/metrics`)).text();
    return text
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"))
        .map((line) => {
            const [, name, labels = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
            return [name, Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, text]) => [label, text])), Number(value)];
        });
}

/** The sum of the series of `name` that have these labels; fails when pilotfish has no such metric at all. */
export async function metric(proxy, name, labels = {}) {
    const named = (await series(proxy)).filter(([other]) => other === name);
    if (named.length === 0) throw new Error(`no metric ${name}`);
    const wanted = Object.entries(labels);
    return named.filter(([, has]) => wanted.every(([label, value]) => has[label] === value)).reduce((sum, [, , value]) => sum + value, 0);
}
