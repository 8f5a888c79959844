// Random numbers: those that PyTorch makes on a CPU, so that a seed means the same here.

/** torch.Generator on a CPU: the Mersenne Twister (Matsumoto and Nishimura 1998, MT19937). */
export class Generator {
  constructor(seed) {
    this.state = new Uint32Array(624);
    this.state[0] = seed;
    for (let i = 1; i < 624; i++) {
      const before = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, before) + i;
    }
    this.at = 624;
  }

  /** 32 random bits. */
  random() {
    if (this.at === 624) this._twist();
    let y = this.state[this.at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  _twist() {
    const s = this.state;
    for (let k = 0; k < 624; k++) {
      const y = (s[k] & 0x80000000) | (s[(k + 1) % 624] & 0x7fffffff);
      s[k] = s[(k + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }

  /** As torch.randn makes 16 numbers or more: Box and Muller's way, sixteen at a time. */
  randn(count) {
    const uniform = () => (this.random() & 0xffffff) / 2 ** 24;
    const values = Float32Array.from({ length: count }, uniform);
    for (let at = 0; at + 16 <= count; at += 16) box_muller(values, at);
    if (count % 16) {
      for (let i = count - 16; i < count; i++) values[i] = uniform();
      box_muller(values, count - 16); // the last sixteen anew, since some were left over
    }
    return values;
  }
}

function box_muller(values, at) {
  for (let i = at; i < at + 8; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - values[i]));
    const angle = 2 * Math.PI * values[i + 8];
    values[i] = radius * Math.cos(angle);
    values[i + 8] = radius * Math.sin(angle);
  }
}
