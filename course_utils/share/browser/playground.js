// The buttons: every element of the class "course-playground" becomes a place to draw in. Its
// data-choices are what it begins with, its data-fields which choices it offers (all, where it
// names none), its data-more the page that offers all.
//
// Until then it holds a sentence and pictures, which stay where this script cannot run: without
// scripts, without WebAssembly, or in a page that was opened as a file.

import { BEGINNINGS, cells_of, kinds_of, labels_of, read_choices, runs_of, solvers_of, told_of, words_of, write_choices } from "./choices.js";
import { COLOUR_NAMES, Easel } from "./easel.js";
import { fill, label, make, megabytes, select } from "./elements.js";
import { networks, runtime_bytes } from "./networks.js";

const COUNT = 16;
const FIELDS = ["network", "kind", "seed", "steps", "solver", "guidance"];
let panels = 0;
let graphics = null; // whether this browser has a graphics processor for us; asked once

async function has_graphics() {
  return Boolean(await navigator.gpu?.requestAdapter().catch(() => null));
}

class Panel {
  constructor(root) {
    this.root = root;
    this.key = `playground-${(panels += 1)}`;
    this.own_address = panels === 1 && !root.dataset.choices; // of several, the first
    const told = this.own_address && location.hash.includes("=") ? location.hash.slice(1) : root.dataset.choices;
    this.choices = read_choices(told ?? "", networks, root.dataset.network);
    this.fields = root.dataset.fields?.split(" ");
    this.loaded = new Set(); // runtimes, and networks for each
    this.drawn = null; // the numbers of the sixteen pictures
    this.build();
    this.show_choices();
    this.state("idle");
  }

  get network() {
    return networks.find((network) => network.name === this.choices.network);
  }

  /** What is to calculate, by the name that the runtime has for it. */
  get processor() {
    return this.on_graphics.checked ? "webgpu" : "wasm";
  }

  /** Whether a reader may choose this here. */
  offers(name) {
    return !this.fields || this.fields.includes(name);
  }

  state(name) {
    this.root.dataset.state = name;
    const busy = name === "loading" || name === "drawing";
    this.stop_button.disabled = !busy;
    this.draw_button.disabled = busy;
    this.bar.hidden = !busy;
    for (const part of this.choosers) part.disabled = busy;
    this.easel.canvas.inert = busy;
  }

  // ---- the parts of the panel ----------------------------------------------------------------

  build() {
    const chooser = (name, part) => {
      part.name = name;
      part.onchange = () => this.choose(name, part);
      return (this.parts[name] = part);
    };
    this.parts = {};
    const number = (name, most, step = 1) => chooser(name, make("input", { type: "number", min: 0, max: most, step, required: true }));
    const fields = make("div", { className: "fields" }, [
      networks.length > 1 && label("Network", chooser("network", select(networks.map((n) => [n.name, n.name])))),
      label("Draw", chooser("kind", select([]))),
      label("Seed", number("seed", 2 ** 32 - 1)),
      label("Steps", number("steps", 1000)),
      label("Solver", chooser("solver", select([]))),
      label("Guidance", number("guidance", 20, 0.5)),
    ]);
    const beginnings = Object.entries(BEGINNINGS).map(([value, text]) => {
      const radio = make("input", { type: "radio", name: `${this.key}-from`, value });
      radio.onchange = () => this.choose("from", radio);
      return label(text, radio, "after");
    });
    this.beginnings = make("fieldset", { className: "beginnings" }, [make("legend", {}, ["Begin with"]), ...beginnings]);
    this.between = label("Other seed", number("other", 2 ** 32 - 1));
    this.show_steps = make("input", { type: "checkbox", checked: !matchMedia("(prefers-reduced-motion: reduce)").matches });
    this.on_graphics = make("input", { type: "checkbox", onchange: () => this.show_cost() });
    const on_graphics = label("on the graphics processor", this.on_graphics, "after");
    on_graphics.hidden = true;
    if (this.offers("processor")) (graphics ??= has_graphics()).then((there) => (on_graphics.hidden = !there));
    this.cost = make("p", { className: "cost" });
    this.draw_button = make("button", { type: "submit" }, ["Draw"]);
    this.stop_button = make("button", { type: "button", onclick: () => this.worker.postMessage({ do: "stop" }) }, ["Stop"]);
    this.bar = make("progress", { max: 1, value: 0, ariaLabel: "Progress" });
    this.count = make("span", { className: "count" });
    this.status = make("p", { className: "status", role: "status" });
    this.more = this.root.dataset.more && make("a", {}, ["All choices"]);
    const buttons = make("div", { className: "buttons" }, [this.draw_button, this.stop_button, label("show every step", this.show_steps, "after"), on_graphics, this.bar, this.count, this.more]);
    const form = make("form", {}, [fields, this.beginnings, this.between, this.build_easel(), this.cost, buttons]);
    form.onsubmit = (event) => { event.preventDefault(); this.draw(); };
    this.choosers = [fields, this.beginnings].flatMap((part) => [...part.querySelectorAll("select, input")]);
    this.choosers.push(this.on_graphics);
    this.root.replaceChildren(form, this.status, this.build_pictures());
  }

  build_easel() {
    const canvas = make("canvas", { className: "easel", role: "application" });
    this.easel = new Easel(canvas, () => this.keep_easel(), (words) => (this.easel_words.textContent = words));
    this.easel_words = make("span", { className: "count", role: "status" });
    const colours = COLOUR_NAMES.map((name, k) => {
      const radio = make("input", { type: "radio", name: `${this.key}-colour`, value: k, checked: k === 1, ariaLabel: name });
      radio.onchange = () => (this.easel.colour = k);
      return make("label", { className: "colour", title: name }, [radio, make("span", { className: "swatch" })]);
    });
    this.colours = make("fieldset", { className: "colours" }, [make("legend", {}, ["Colour"]), ...colours]);
    const brush = make("input", { type: "range", min: 1, max: 9, value: 2 });
    brush.oninput = () => (this.easel.brush = Number(brush.value));
    const strength = (this.parts.strength = make("input", { type: "range", min: 0.05, max: 1, step: 0.05, name: "strength" }));
    strength.oninput = () => this.choose("strength", strength);
    this.strength = label("Strength", strength);
    const clear = make("button", { type: "button", onclick: () => this.clear() }, ["Clear"]);
    this.easel_hint = make("p", { className: "hint", id: `${this.key}-hint` });
    canvas.setAttribute("aria-describedby", this.easel_hint.id);
    const tools = make("div", { className: "tools" }, [this.colours, label("Brush", brush), this.strength, clear, this.easel_words]);
    return (this.easel_part = make("div", { className: "easel-part" }, [this.easel_hint, make("div", { className: "side-by-side" }, [canvas, tools])]));
  }

  build_pictures() {
    this.canvases = [];
    this.guesses = [];
    this.radios = [];
    for (let k = 0; k < COUNT; k++) {
      this.canvases.push(make("canvas", {}));
      this.guesses.push(make("canvas", {}));
      const radio = make("input", { type: "radio", name: `${this.key}-picture`, value: k, checked: k === 0 });
      radio.onchange = () => this.choose_picture(k);
      this.radios.push(radio);
    }
    const each = this.radios.map((radio, k) => make("label", {}, [radio, this.canvases[k]]));
    const hand = make("fieldset", { className: "sixteen hand" }, [make("legend", {}, ["In hand"]), ...each]);
    const guess = make("div", { className: "sixteen guess" }, [make("p", { className: "title" }, ["Guessed"]), ...this.guesses]);
    guess.setAttribute("role", "img");
    guess.setAttribute("aria-label", "What the network takes each finished picture to be, from what is in hand");
    this.large = make("canvas", { className: "large", role: "img" });
    this.slide = make("input", { type: "range", min: 0, max: COUNT - 1, value: 0, step: 1 });
    this.slide.oninput = () => this.choose_picture(Number(this.slide.value));
    this.slider = label("From one seed to the other", this.slide);
    const download = make("button", { type: "button", onclick: () => this.download() }, ["Download this picture"]);
    const chosen = make("div", { className: "chosen" }, [this.large, this.slider, download]);
    return (this.pictures = make("div", { className: "pictures", hidden: true }, [hand, guess, chosen]));
  }

  // ---- choices -------------------------------------------------------------------------------

  choose(name, part) {
    if (part.type === "number" && !part.checkValidity()) return part.reportValidity();
    const typed = part.type === "number" || part.type === "range";
    const before = this.choices;
    if (name === "from" && part.value === "gap" && this.drawn && before.from === "noise") {
      const k = this.radios.findIndex((radio) => radio.checked); // the chosen one gets the gap
      before.seed += k;
      if (before.kind === "each") before.kind = this.network.labels[k % this.network.labels.length];
      before.mask = "";
    }
    const told = { ...before, [name]: typed ? Number(part.value) : part.value };
    if (name === "network") {
      Object.assign(told, { scribble: "", mask: "" });
      this.drawn = null; // those are by another network, of another size
      this.pictures.hidden = true;
    }
    this.choices = read_choices(new URLSearchParams(told).toString(), networks);
    this.show_choices(name === "strength");
  }

  show_choices(easel_stays = false) {
    const { parts, choices, network } = this;
    fill(parts.kind, kinds_of(network));
    fill(parts.solver, solvers_of(network).map((name) => [name, name]));
    for (const [name, part] of Object.entries(parts)) part.value = choices[name];
    parts.steps.min = 1;
    parts.steps.max = network.levels;
    const without = { kind: network.labels.length === 0, guidance: network.no_label === null };
    for (const name of FIELDS) {
      if (parts[name]) parts[name].parentElement.hidden = !this.offers(name) || without[name] === true;
    }
    this.beginnings.hidden = !this.offers("from");
    if (this.more) this.more.href = `${this.root.dataset.more}#${write_choices(choices)}`;
    for (const radio of this.beginnings.querySelectorAll("input")) radio.checked = radio.value === choices.from;
    this.between.hidden = this.slider.hidden = choices.from !== "between";
    if (!easel_stays) this.show_easel();
    this.show_cost();
    if (this.own_address) history.replaceState(null, "", `#${write_choices(choices)}`);
  }

  show_easel() {
    const { choices, network, easel } = this;
    const wiping = choices.from === "gap";
    this.easel_part.hidden = !wiping && choices.from !== "scribble";
    this.colours.hidden = this.strength.hidden = wiping;
    easel.canvas.ariaLabel = wiping ? "The picture, to wipe out a part of it" : "Canvas, to scribble on";
    this.easel_hint.textContent = wiping
      ? "Draw shows the picture of this seed. Wipe out a part, and draw again. With the keyboard: arrows, and space to wipe."
      : "Scribble with mouse, finger or keyboard (arrows, and space to paint). Strength says how much of the way back is left to the network.";
    const cells = network.width * network.height;
    const kept = wiping ? cells_of(choices.mask, cells, 2) : cells_of(choices.scribble, cells, COLOUR_NAMES.length);
    const base = this.base && this.base.of === this.base_key() ? this.base.picture : null;
    easel.begin(network, wiping, kept);
    easel.base = base;
    easel.show();
    this.colours.querySelectorAll(".swatch").forEach((swatch, k) => (swatch.style.background = `rgb(${easel.rgb(k)})`));
  }

  keep_easel() {
    const name = this.easel.wiping ? "mask" : "scribble";
    this.choices[name] = this.easel.cells.some(Boolean) ? runs_of(this.easel.cells) : "";
    if (this.own_address) history.replaceState(null, "", `#${write_choices(this.choices)}`);
  }

  clear() {
    this.easel.cells.fill(0);
    this.easel.show();
    this.keep_easel();
  }

  /** What the picture with the gap depends on. */
  base_key() {
    return write_choices({ ...this.choices, from: "noise" });
  }

  show_cost() {
    const { processor, loaded } = this;
    const first = !loaded.has(processor) ? ` and ${megabytes(runtime_bytes[processor])} MB of runtime` : "";
    const size = megabytes(this.network.bytes);
    this.cost.hidden = loaded.has(`${processor} ${this.choices.network}`);
    this.cost.textContent = `Draw loads ${size} MB of network${first} from this site, once. Nothing is sent anywhere.`;
  }

  // ---- drawing -------------------------------------------------------------------------------

  draw() {
    if (!this.worker) {
      this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
      this.worker.onmessage = ({ data }) => this.heard(data);
      this.worker.onerror = (error) => this.heard({ said: "failed", why: error.message || "the worker did not start" });
    }
    const { choices, network, easel } = this;
    const kind = choices.from === "gap" && choices.kind === "each" ? network.labels[0] : choices.kind;
    const told = { ...choices, labels: labels_of(network, kind, COUNT) };
    if (choices.from === "scribble") told.scribble = easel.picture();
    if (choices.from === "gap") told.mask = easel.cells.slice();
    const { processor } = this;
    this.asked = { ...choices, kind, processor };
    this.state("loading");
    this.status.textContent = this.loaded.has(`${processor} ${network.name}`) ? "Drawing …" : "Loading …";
    const folder = new URL(`networks/${network.name}/`, import.meta.url).href;
    this.worker.postMessage({ do: "draw", network: folder, choices: told, processor });
  }

  heard(data) {
    const { said } = data;
    if (said === "failed") {
      this.status.textContent = `This did not work: ${data.why}`;
      return this.finish("failed");
    }
    if (said === "loading") return undefined;
    if (said === "base") {
      this.base = { of: this.base_key(), picture: data.base };
      this.easel.base = data.base;
      return this.easel.show();
    }
    if (said === "wipe") {
      this.status.textContent = "This is the picture of this seed. Wipe out a part of it, and draw again.";
      return this.finish("done");
    }
    if (said === "stopped") {
      this.status.textContent = `Stopped after step ${data.step} of ${data.of}.`;
      return this.finish("stopped");
    }
    return this.show_step(data);
  }

  finish(name) {
    const { processor, network } = this.asked;
    if (name !== "failed") this.loaded.add(processor).add(`${processor} ${network}`);
    this.state(name);
    this.show_cost();
  }

  show_step({ said, step, of, milliseconds, sample, guess, processor, why }) {
    if (this.root.dataset.state === "loading") {
      this.state("drawing");
      this.status.textContent = "Drawing …";
    }
    this.bar.value = step / of;
    this.milliseconds = milliseconds;
    this.root.dataset.milliseconds = milliseconds;
    this.count.textContent = `step ${step} of ${of}, ${milliseconds.toFixed(0)} ms each`;
    const last = said === "done";
    if (last || this.show_steps.checked) {
      this.pictures.hidden = false;
      this.drawn = sample;
      for (let k = 0; k < COUNT; k++) {
        this.put(this.canvases[k], sample, k);
        this.put(this.guesses[k], guess, k);
        this.radios[k].ariaLabel = words_of(this.asked, this.network, k);
      }
      this.choose_picture(this.radios.findIndex((radio) => radio.checked));
    }
    if (last) {
      this.status.textContent = `Drawn: ${told_of(this.asked, this.network)}. ${of} step${of > 1 ? "s" : ""} of ${this.asked.solver}, ${milliseconds.toFixed(0)} milliseconds each${this.told_processor(processor, why)}.`;
      this.finish("done");
    }
  }

  /** On what was drawn, where the reader has asked for the graphics processor. */
  told_processor(processor, why) {
    if (this.asked.processor === "wasm") return "";
    return processor === "webgpu" ? ", on the graphics processor" : `, on the processor: ${why}`;
  }

  /** Numbers in [-1, 1] as pixels; a clamped array rounds as NumPy does. */
  put(canvas, numbers, k) {
    const { channels, width, height } = this.network;
    const plane = width * height;
    const image = new ImageData(width, height);
    for (let at = 0; at < plane; at++) {
      for (let c = 0; c < 3; c++) {
        const place = (k * channels + (channels === 3 ? c : 0)) * plane + at;
        image.data[4 * at + c] = (numbers[place] + 1) * 127.5;
      }
      image.data[4 * at + 3] = 255;
    }
    Object.assign(canvas, { width, height });
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  choose_picture(k) {
    this.radios[k].checked = true;
    this.slide.value = k;
    this.slide.ariaValueText = words_of(this.asked, this.network, k);
    if (this.drawn) this.put(this.large, this.drawn, k);
    this.large.ariaLabel = words_of(this.asked, this.network, k);
  }

  download() {
    const { width, height } = this.large;
    const zoom = Math.ceil(512 / width);
    const copy = make("canvas", { width: zoom * width, height: zoom * height });
    const brush = copy.getContext("2d");
    brush.imageSmoothingEnabled = false;
    brush.drawImage(this.large, 0, 0, copy.width, copy.height);
    const name = this.large.ariaLabel.replace(/[^\w]+/g, "-").toLowerCase();
    copy.toBlob((file) => {
      const link = make("a", { href: URL.createObjectURL(file), download: `${this.asked.network}-${name}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href));
    });
  }
}

if (typeof WebAssembly === "object" && typeof DecompressionStream === "function" && typeof Worker === "function") {
  for (const root of document.querySelectorAll(".course-playground")) new Panel(root);
}
