// What a reader has chosen, and how an address says it: #network=sprites-16&seed=7&steps=20

import { SCHEDULERS } from "./sampling.js";

export const BEGINNINGS = {
  noise: "noise",
  between: "the way between two seeds",
  scribble: "a scribble of yours",
  gap: "a picture with a gap",
};

const DEFAULTS = {
  kind: "each",
  seed: 0,
  steps: 20,
  solver: "DDIM",
  guidance: 1,
  from: "noise",
  other: 100,
  strength: 0.7,
  scribble: "",
  mask: "",
};
const MOST_SEED = 2 ** 32 - 1;

/** The solvers that go with a network: flow matching has one of its own. */
export function solvers_of(network) {
  return Object.keys(SCHEDULERS).filter((name) => name.startsWith("Euler") === network.flow);
}

/** What a network can be asked for: a value and a text for each. */
export function kinds_of(network) {
  const kinds = network.labels.map((label) => [label, label]);
  if (kinds.length > 1) kinds.unshift(["each", "each kind in turn"]);
  if (network.no_label !== null) kinds.push(["none", "no kind: whatever comes"]);
  return kinds;
}

/** The choices that a text such as an address's end tells; what is left out or wrong is as usual. */
export function read_choices(text, networks, usual = networks[0].name) {
  const told = Object.fromEntries(new URLSearchParams(text));
  const network = networks.find((n) => n.name === told.network) ?? networks.find((n) => n.name === usual);
  const [solvers, kinds] = [solvers_of(network), kinds_of(network).map(([value]) => value)];
  const among = (known, value, other) => (known.includes(value) ? value : other);
  const number = (name, least, most) => {
    const value = told[name] === undefined ? NaN : Number(told[name]);
    return Number.isFinite(value) ? Math.min(Math.max(value, least), most) : DEFAULTS[name];
  };
  return {
    network: network.name,
    kind: among(kinds, told.kind, kinds[0] ?? ""),
    seed: Math.round(number("seed", 0, MOST_SEED)),
    steps: Math.round(number("steps", 1, network.levels)),
    solver: among(solvers, told.solver, solvers[0]),
    guidance: network.no_label === null ? 1 : number("guidance", 0, 20),
    from: among(Object.keys(BEGINNINGS), told.from, DEFAULTS.from),
    other: Math.round(number("other", 0, MOST_SEED)),
    strength: number("strength", 0.05, 1),
    scribble: told.scribble ?? "",
    mask: told.mask ?? "",
  };
}

/** The text that tells the choices, without those that change nothing. */
export function write_choices(choices) {
  const needed = { between: ["other"], scribble: ["strength", "scribble"], gap: ["mask"] };
  const names = ["network", "kind", "seed", "steps", "solver", "guidance", "from"];
  const told = new URLSearchParams();
  for (const name of [...names, ...(needed[choices.from] ?? [])]) {
    if (choices[name] !== DEFAULTS[name] && choices[name] !== "") told.set(name, choices[name]);
  }
  return told.toString();
}

/** The label of each of so many pictures. */
export function labels_of(network, kind, count) {
  if (network.labels.length === 0) return [];
  const one = kind === "none" ? network.no_label : network.labels.indexOf(kind);
  return Array.from({ length: count }, (_, k) => (kind === "each" ? k % network.labels.length : one));
}

function kind_of({ kind }, network, k) {
  if (kind === "each") return network.labels[k % network.labels.length];
  return kind === "none" || !kind ? "no kind asked for" : kind;
}

/** One of the sixteen pictures in words, for those who do not see it. */
export function words_of(choices, network, k) {
  const { from, seed, other } = choices;
  const between = `${k} of 15 on the way from seed ${seed} to seed ${other}`;
  const way = { between, gap: `seed ${seed + 1 + k}` };
  return `Picture ${k + 1}: ${kind_of(choices, network, k)}, ${way[from] ?? `seed ${seed + k}`}`;
}

/** All sixteen in words. */
export function told_of(choices, network) {
  const { from, kind, seed, other } = choices;
  const each = kind === "each";
  const kinds = each ? `${network.labels.join(", ")} in turn` : kind_of(choices, network, 0);
  const ways = {
    noise: `seeds ${seed} to ${seed + 15}`,
    between: `on the way from seed ${seed} to seed ${other}`,
    scribble: `from the scribble, seeds ${seed} to ${seed + 15}`,
    gap: `the gap filled in sixteen ways, seeds ${seed + 1} to ${seed + 16}`,
  };
  return `sixteen pictures by ${network.name}, ${kinds}, ${ways[from]}`;
}

/** A scribble or a mask as letters and how often each comes: "a40b3a20". */
export function runs_of(cells) {
  let text = "";
  for (let at = 0, end; at < cells.length; at = end) {
    for (end = at; cells[end] === cells[at]; ) end += 1;
    text += String.fromCharCode(97 + cells[at]) + (end - at);
  }
  return text;
}

/** The cells that such a text tells, or zeros where it does not fit. */
export function cells_of(text, count, colours) {
  const cells = new Uint8Array(count);
  let at = 0;
  for (const [, letter, times] of text.matchAll(/([a-z])(\d+)/g)) {
    const colour = letter.charCodeAt(0) - 97;
    if (colour >= colours || at + Number(times) > count) return cells.fill(0);
    cells.fill(colour, at, (at += Number(times)));
  }
  return at === count ? cells : cells.fill(0);
}
