// Draws, in a thread of its own, so that the page never waits.
//
// Told {do: "draw", network, choices, processor}, it says {said: "loading" | "step" | "done" |
// "stopped" | "failed", …}; told {do: "stop"}, it stops after the step at hand.

import { SCHEDULERS, image_to_image, initial_noise, inpaint, sample, slerp } from "./sampling.js";

const COUNT = 16;
// How far a graphics processor's answers may be from the processor's. A whole way turns by a right
// angle, so that without guidance velocities that are off by this move a picture by about half pi
// times as much: less than half a shade of 255.
const MOST_OFF = 0.002;
const runtimes = {}; // by the name of what calculates: "wasm" or "webgpu"
const networks = new Map(); // what was loaded, by that and its folder
let stopped = false;

onmessage = async ({ data }) => {
  if (data.do === "stop") stopped = true;
  if (data.do !== "draw") return;
  stopped = false;
  try {
    const network = await load(data.network, data.processor);
    await draw(network, data.choices);
  } catch (error) {
    postMessage({ said: "failed", why: String(error?.message ?? error) });
  }
};

// ---- what has to be there --------------------------------------------------------------------

async function load(folder, processor) {
  const key = `${processor} ${folder}`;
  if (networks.has(key)) return networks.get(key);
  postMessage({ said: "loading" });
  const ort = await (runtimes[processor] ??= start(processor));
  const [settings, file] = await Promise.all([
    fetched(new URL("settings.json", folder)).then((r) => r.json()),
    fetched(new URL("model.onnx", folder)).then((r) => r.arrayBuffer()),
  ]);
  const session = await opened(ort, file, "wasm");
  let network = { ort, settings, session, processor: "wasm" };
  if (processor === "webgpu") network = await on_graphics(network, file);
  networks.set(key, network);
  return network;
}

function opened(ort, file, processor) {
  const options = { executionProviders: [processor], logSeverityLevel: 3 }; // errors, no hints
  return ort.InferenceSession.create(file, options);
}

/** The network on the graphics processor if it answers the same there, else as it is, and why. */
async function on_graphics(network, file) {
  const { channels, height, width, scheduler } = network.settings;
  const size = channels * height * width;
  const call = [initial_noise(size, [0]).noise, scheduler.num_train_timesteps / 2, Int32Array.of(0)];
  try {
    const other = { ...network, session: await opened(network.ort, file, "webgpu"), processor: "webgpu" };
    const [here, there] = [await asked(network, size)(...call), await asked(other, size)(...call)];
    const off = here.reduce((most, value, i) => Math.max(most, Math.abs(value - there[i])), 0);
    if (off <= MOST_OFF) return other;
    return { ...network, why: `an answer of the graphics processor is off by ${off.toPrecision(2)}` };
  } catch (error) {
    return { ...network, why: `the graphics processor fails: ${error?.message ?? error}` };
  }
}

/** The runtime lies here packed, since few servers pack what they send. */
async function start(processor) {
  const ort = await import(`./runtime/ort.${processor}.bundle.min.mjs`);
  const packed = await fetched(new URL(`./runtime/ort.${processor}.gz`, import.meta.url));
  const unpacked = packed.body.pipeThrough(new DecompressionStream("gzip"));
  ort.env.wasm.wasmBinary = await new Response(unpacked).arrayBuffer();
  ort.env.wasm.numThreads = 1; // more want headers that most hosts do not send
  return ort;
}

async function fetched(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} could not be loaded: ${answer.status}`);
  return answer;
}

// ---- a run -----------------------------------------------------------------------------------

async function draw(network, choices) {
  const { settings, processor, why } = network;
  const { channels, height, width } = settings;
  const size = channels * height * width;
  const watch = { calls: 0, milliseconds: 0 };
  const model = asked(network, size, watch);
  const how = prepared(settings, choices, size);
  let base = null;
  if (choices.from === "gap") {
    base = await last(sample(model, scheduler_of(settings, choices), one(settings, choices, size)));
    if (base === null) return postMessage({ said: "stopped", step: 0, of: choices.steps });
    postMessage({ said: "base", base });
    if (!choices.mask.some(Boolean)) return postMessage({ said: "wipe" });
  }
  const scheduler = scheduler_of(settings, choices);
  const run = started(model, scheduler, choices, how, base, size);
  const of = choices.from === "scribble" ? Math.max(1, Math.floor(choices.steps * choices.strength + 1e-9)) : choices.steps;
  let step = 0;
  watch.calls = watch.milliseconds = 0; // the first call of a session sets things up
  for await (const { prev_sample, pred_original_sample } of run) {
    step += 1;
    const milliseconds = watch.milliseconds / watch.calls;
    const done = step === of;
    const pictures = { sample: prev_sample, guess: pred_original_sample };
    postMessage({ said: done ? "done" : "step", step, of, milliseconds, processor, why, ...pictures });
    await breath();
    if (stopped && !done) return postMessage({ said: "stopped", step, of });
  }
}

/** The network as the samplers ask it. */
function asked({ ort, settings, session }, size, watch = {}) {
  const { channels, height, width, num_classes } = settings;
  return async (sample, timestep, class_labels) => {
    const count = sample.length / size;
    const inputs = {
      sample: new ort.Tensor("float32", sample, [count, channels, height, width]),
      timestep: new ort.Tensor("float32", [timestep], []),
    };
    if (num_classes) inputs.class_labels = new ort.Tensor("int32", class_labels, [count]);
    const began = performance.now();
    const { output } = await session.run(inputs);
    watch.milliseconds += performance.now() - began;
    watch.calls += 1;
    return output.data;
  };
}

/** As quick_scheduler, DDIM clips no guess; DDPM does as in training, but not what guidance adds. */
function scheduler_of(settings, choices) {
  const clip_sample = settings.scheduler.clip_sample && choices.solver === "DDPM" && choices.guidance === 1;
  const scheduler = new SCHEDULERS[choices.solver]({ ...settings.scheduler, clip_sample });
  scheduler.set_timesteps(choices.steps);
  return scheduler;
}

function prepared(settings, choices, size) {
  const class_labels = settings.num_classes ? Int32Array.from(choices.labels) : null;
  const guidance = { scale: choices.guidance, no_label: settings.no_label };
  const between = choices.from === "between";
  const seeds = Array.from({ length: COUNT }, (_, k) => between ? choices.seed : choices.seed + k);
  if (choices.from === "gap") seeds.forEach((_, k) => seeds[k] += 1); // the first one drew the picture
  const how = { ...initial_noise(size, seeds), class_labels, guidance };
  if (between) {
    const { noise: other } = initial_noise(size, [choices.other]);
    const first = how.noise.slice(0, size);
    seeds.forEach((_, k) => how.noise.set(slerp(first, other, k / (COUNT - 1)), k * size));
  }
  return how;
}

/** The picture that gets a gap: that of the first seed and the first label. */
function one(settings, choices, size) {
  const class_labels = settings.num_classes ? Int32Array.of(choices.labels[0]) : null;
  const guidance = { scale: choices.guidance, no_label: settings.no_label };
  return { ...initial_noise(size, [choices.seed]), class_labels, guidance };
}

function started(model, scheduler, choices, how, base, size) {
  const everywhere = (picture) => Float32Array.from({ length: COUNT * size }, (_, i) => picture[i % size]);
  if (choices.from === "scribble") {
    return image_to_image(model, scheduler, everywhere(choices.scribble), choices.strength, how);
  }
  if (choices.from === "gap") {
    const plane = choices.mask.length;
    const mask = Uint8Array.from({ length: COUNT * size }, (_, i) => choices.mask[(i % size) % plane]);
    return inpaint(model, scheduler, everywhere(base), mask, how);
  }
  return sample(model, scheduler, how);
}

async function last(run) {
  let picture = null;
  for await (const { prev_sample } of run) {
    picture = prev_sample;
    await breath();
    if (stopped) return null;
  }
  return picture.map((value) => Math.min(Math.max(value, -1), 1));
}

/** Let a message in, such as the one that says stop. */
function breath() {
  return new Promise((go_on) => setTimeout(go_on));
}
