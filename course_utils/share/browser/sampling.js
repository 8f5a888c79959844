// The way back, from noise to a picture: the samplers of course_utils/sampling, for a browser.
//
// Names, formulas and the order of what happens are Python's, so that the same seed draws the
// same picture. Pictures lie one after the other in a Float32Array, as N times C x H x W numbers
// in [-1, 1]. A network is a function that answers, some time later, what it was asked:
//     const model_output = await model(sample, timestep, class_labels);

import { Generator } from "./generator.js";

// ---- noise/schedules.py ----------------------------------------------------------------------

/** ᾱ_t, the share of the picture's variance that is left at each timestep. */
export function alphas_cumprod(betas) {
  let product = 1;
  return betas.map((beta) => (product *= 1 - beta));
}

/** The n timesteps that sampling visits, counted down from T-1 (arXiv 2305.08891, Table 2). */
export function trailing_timesteps(T, n) {
  const stride = T - (T - T / n); // T/n, less its last bits
  return Array.from({ length: n }, (_, k) => round_half_even(T - k * stride) - 1);
}

function round_half_even(x) {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 ? below + 1 : below;
}

// ---- noise/targets.py ------------------------------------------------------------------------

/** Split a noisy picture into picture and noise: a function of one number of each. */
export function predicted_x0_and_noise(prediction_type, signal_rate, noise_rate) {
  const ways = {
    epsilon: (out, x) => [(x - noise_rate * out) / signal_rate, out],
    sample: (out, x) => [out, (x - signal_rate * out) / noise_rate],
    v_prediction: (out, x) => [signal_rate * x - noise_rate * out, signal_rate * out + noise_rate * x],
    flow_prediction: (out, x) => [x - noise_rate * out, x + signal_rate * out],
  };
  return ways[prediction_type];
}

// ---- sampling/base.py, sampling/diffusion.py -------------------------------------------------

/** What DDPM, DDIM and DPM-Solver++ share: noise levels made of betas. */
class DiffusionScheduler {
  constructor(config) {
    this.config = config;
    this._alpha_bars = alphas_cumprod(config.trained_betas);
  }

  set_timesteps(num_inference_steps) {
    this.timesteps = trailing_timesteps(this.config.num_train_timesteps, num_inference_steps);
    this._at = 0;
  }

  /** How much picture and how much noise there is at each step, and 1 and 0 for the picture. */
  rates() {
    const at = (t) => [Math.sqrt(this._alpha_bars[t]), Math.sqrt(1 - this._alpha_bars[t])];
    return [...this.timesteps.map(at), [1, 0]];
  }

  /** ᾱ of the step that is due and of the one after; the path is walked in order. */
  _alpha_bars_of() {
    const [t, following] = [this.timesteps[this._at], this.timesteps[this._at + 1]];
    this._at += 1;
    return [this._alpha_bars[t], following === undefined ? 1 : this._alpha_bars[following]];
  }

  _split(alpha_bar) {
    const type = this.config.prediction_type;
    return predicted_x0_and_noise(type, Math.sqrt(alpha_bar), Math.sqrt(1 - alpha_bar));
  }

  _in_range(x0) {
    const { clip_sample, clip_sample_range: most } = this.config;
    return clip_sample ? Math.min(Math.max(x0, -most), most) : x0;
  }
}

// ---- sampling/ddim.py ------------------------------------------------------------------------

/** Few steps, and no fresh noise (arXiv 2010.02502). */
export class DDIMScheduler extends DiffusionScheduler {
  step(model_output, sample) {
    const [alpha_bar, alpha_bar_prev] = this._alpha_bars_of();
    const split = this._split(alpha_bar);
    const [prev_sample, guess] = [new Float32Array(sample.length), new Float32Array(sample.length)];
    for (let i = 0; i < sample.length; i++) {
      let [x0, noise] = split(model_output[i], sample[i]); // (9)
      x0 = this._in_range(x0);
      const direction = Math.sqrt(1 - alpha_bar_prev) * noise; // (12): "pointing to x_t"
      prev_sample[i] = Math.sqrt(alpha_bar_prev) * x0 + direction; // (12)
      guess[i] = x0;
    }
    return { prev_sample, pred_original_sample: guess };
  }
}

// ---- sampling/ddpm.py ------------------------------------------------------------------------

/** Guess the picture, step back, add a little fresh noise (arXiv 2006.11239). */
export class DDPMScheduler extends DiffusionScheduler {
  step(model_output, sample, generators) {
    const [alpha_bar, alpha_bar_prev] = this._alpha_bars_of();
    const alpha = alpha_bar / alpha_bar_prev; // of the whole stride, which may skip timesteps
    const beta = 1 - alpha;
    const split = this._split(alpha_bar);
    const of_x0 = (Math.sqrt(alpha_bar_prev) * beta) / (1 - alpha_bar); // (7)
    const of_sample = (Math.sqrt(alpha) * (1 - alpha_bar_prev)) / (1 - alpha_bar); // (7)

    const last = alpha_bar_prev === 1;
    const small = ((1 - alpha_bar_prev) / (1 - alpha_bar)) * beta; // (7), and β: section 3.2
    const variance = this.config.variance_type.startsWith("fixed_small") ? small : beta;
    const fresh = last ? null : fresh_noise(sample.length, generators);

    const [prev_sample, guess] = [new Float32Array(sample.length), new Float32Array(sample.length)];
    for (let i = 0; i < sample.length; i++) {
      guess[i] = this._in_range(split(model_output[i], sample[i])[0]); // (15)
      prev_sample[i] = of_x0 * guess[i] + of_sample * sample[i];
      if (!last) prev_sample[i] += Math.sqrt(variance) * fresh[i]; // (6)
    }
    return { prev_sample, pred_original_sample: guess };
  }
}

// ---- sampling/dpm_solver.py ------------------------------------------------------------------

/** DPM-Solver++ 2M: a line through the last two guesses says where the guess is going. */
export class DPMSolverMultistepScheduler extends DiffusionScheduler {
  set_timesteps(num_inference_steps) {
    super.set_timesteps(num_inference_steps);
    this._seen = null; // σ and guess of the step before
  }

  step(model_output, sample) {
    const left = this.timesteps.length - this._at;
    const [sigma, sigma_next] = this._alpha_bars_of().map(sigma_of);
    const alpha_bar = 1 / (1 + sigma ** 2);
    const split = this._split(alpha_bar);
    const x0 = sample.map((x, i) => split(model_output[i], x)[0]);
    let mean = x0; // of the guesses on the way
    if (this._seen !== null && left > 1) {
      const h = Math.log(sigma / sigma_next); // Algorithm 2: steps in λ = -log σ
      const r = Math.log(this._seen.sigma / sigma) / h;
      const before = this._seen.x0;
      mean = x0.map((x, i) => x + (x - before[i]) / r / 2);
    }
    this._seen = { sigma, x0 };
    return { prev_sample: step_to(sample, mean, sigma, sigma_next), pred_original_sample: x0 };
  }
}

/** How much noise there is for each unit of picture; 2^-24 stands for nothing of the picture. */
function sigma_of(alpha_bar) {
  return Math.sqrt((1 - alpha_bar) / (alpha_bar || 2 ** -24));
}

/** Go from σ to σ' as if the guess did not change on the way (arXiv 2211.01095, eq. 9). */
function step_to(sample, x0, sigma, sigma_next) {
  const signal_next = (sigma_next ** 2 + 1) ** -0.5;
  const of_sample = (sigma_next * signal_next) / (sigma * (sigma ** 2 + 1) ** -0.5);
  return sample.map((x, i) => of_sample * x + signal_next * (1 - sigma_next / sigma) * x0[i]);
}

// ---- sampling/flow.py ------------------------------------------------------------------------

/** Flow matching: follow the velocity along a straight line (arXiv 2209.03003, section 2). */
export class FlowMatchEulerScheduler {
  constructor(config) {
    this.config = config;
  }

  set_timesteps(n) {
    const T = this.config.num_train_timesteps;
    const place = (k) => Math.fround(n === 1 ? T : T - (k * (T - 1)) / (n - 1));
    this.timesteps = Array.from({ length: n }, (_, k) => place(k)); // T … 1, and then the picture
    this._at = 0;
  }

  rates() {
    const sigmas = [...this.timesteps, 0].map((t) => t / this.config.num_train_timesteps);
    return sigmas.map((sigma) => [1 - sigma, sigma]);
  }

  step(model_output, sample) {
    const [sigma, sigma_next] = this.rates().slice(this._at, this._at + 2).map((rate) => rate[1]);
    this._at += 1;
    const prev_sample = sample.map((x, i) => x + (sigma_next - sigma) * model_output[i]); // Euler
    const pred_original_sample = sample.map((x, i) => x - sigma * model_output[i]);
    return { prev_sample, pred_original_sample };
  }
}

export const SCHEDULERS = {
  DDIM: DDIMScheduler,
  "DPM-Solver++ 2M": DPMSolverMultistepScheduler,
  DDPM: DDPMScheduler,
  "Euler (flow matching)": FlowMatchEulerScheduler,
};

// ---- sampling/guidance.py --------------------------------------------------------------------

/** Ask with the label and without, and go on from the one through the other. */
export async function guided_answer(model, sample, timestep, class_labels, guidance) {
  if (guidance.scale === 1) return model(sample, timestep, class_labels);
  const count = class_labels.length;
  const twice = new Int32Array(2 * count).fill(guidance.no_label);
  twice.set(class_labels);
  const shown = new Float32Array(2 * sample.length);
  shown.set(sample);
  shown.set(sample, sample.length);
  const both = await model(shown, timestep, twice);
  const [better, worse] = [both.subarray(0, sample.length), both.subarray(sample.length)];
  return better.map((told, i) => worse[i] + guidance.scale * (told - worse[i])); // 2207.12598, eq. 6
}

// ---- sampling/loop.py ------------------------------------------------------------------------

/** Start at noise and walk down the noise levels; gives each step as it is made. */
export async function* sample(model, scheduler, { noise, generators, class_labels, guidance }) {
  let x = noise;
  for (const t of scheduler.timesteps) {
    const model_output = await guided_answer(model, x, t, class_labels, guidance);
    const out = scheduler.step(model_output, x, generators);
    x = out.prev_sample;
    yield out;
  }
}

// ---- sampling/edit.py ------------------------------------------------------------------------

/** Begin with pictures: spoil them in part, and walk back from there (SDEdit, 2108.01073). */
export async function* image_to_image(model, scheduler, images, strength, how) {
  const count = scheduler.timesteps.length;
  const first = count - Math.max(1, Math.floor(count * strength + 1e-9));
  const [signal_rate, noise_rate] = scheduler.rates()[first];
  let x = images.map((x0, i) => signal_rate * x0 + noise_rate * how.noise[i]);
  scheduler._at = first;
  for (const t of scheduler.timesteps.slice(first)) {
    const model_output = await guided_answer(model, x, t, how.class_labels, how.guidance);
    const out = scheduler.step(model_output, x, how.generators);
    x = out.prev_sample;
    yield out;
  }
}

/** Paint anew where the mask is 1: after each step, what is kept is put back (2201.09865). */
export async function* inpaint(model, scheduler, images, mask, how) {
  const rates = scheduler.rates();
  let x = how.noise;
  for (const [number, t] of scheduler.timesteps.entries()) {
    const model_output = await guided_answer(model, x, t, how.class_labels, how.guidance);
    const out = scheduler.step(model_output, x, how.generators);
    const [signal_rate, noise_rate] = rates[number + 1];
    const fresh = fresh_noise(x.length, how.generators);
    const known = images.map((x0, i) => signal_rate * x0 + noise_rate * fresh[i]);
    x = out.prev_sample.map((painted, i) => (mask[i] ? painted : known[i])); // (8c)
    yield { ...out, prev_sample: x };
  }
}

// ---- noise from a seed: initial_noise, fresh_noise, slerp ------------------------------------

/** Noise for each picture, from a seed of its own; `size` numbers for each. */
export function initial_noise(size, seeds) {
  const generators = seeds.map((seed) => new Generator(seed));
  return { noise: fresh_noise(size * seeds.length, generators), generators };
}

function fresh_noise(length, generators) {
  const size = length / generators.length;
  const noise = new Float32Array(length);
  generators.forEach((generator, k) => noise.set(generator.randn(size), k * size));
  return noise;
}

/** Between two noises, along the sphere on which noise lies. */
export function slerp(first, second, share) {
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const cosine = dot(first, second) / Math.sqrt(dot(first, first) * dot(second, second));
  const angle = Math.max(Math.acos(Math.min(Math.max(cosine, -1), 1)), 1e-6);
  const [near, far] = [Math.sin((1 - share) * angle), Math.sin(share * angle)];
  return first.map((value, i) => (near * value + far * second[i]) / Math.sin(angle));
}
