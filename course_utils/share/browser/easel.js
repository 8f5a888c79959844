// A canvas of a network's own pixels, to scribble on or to wipe a picture out, by pointer or keys.

const COLOURS = {
  paper: null, // the network's own
  black: [0, 0, 0],
  white: [255, 255, 255],
  red: [205, 50, 50],
  orange: [240, 150, 40],
  yellow: [245, 215, 70],
  green: [60, 150, 70],
  blue: [60, 110, 210],
  purple: [140, 80, 190],
  pink: [240, 140, 180],
  brown: [130, 85, 45],
};
export const COLOUR_NAMES = Object.keys(COLOURS);

export class Easel {
  /** `changed` is called after a stroke, `told` with words about the place of the keys' cursor. */
  constructor(canvas, changed, told) {
    Object.assign(this, { canvas, changed, told, brush: 2, colour: 1, cursor: null, base: null });
    canvas.tabIndex = 0;
    canvas.addEventListener("pointerdown", (event) => { this.before = null; this._stroke(event); });
    canvas.addEventListener("pointermove", (event) => event.buttons && this._stroke(event));
    canvas.addEventListener("pointerup", () => this.changed());
    canvas.addEventListener("keydown", (event) => this._key(event));
    canvas.addEventListener("blur", () => this._point(null));
  }

  /** Begin anew: for a network, to scribble or to wipe, with cells that were there before. */
  begin(network, wiping, cells) {
    Object.assign(this, { network, wiping, cells, base: null, cursor: null });
    this.canvas.width = network.width;
    this.canvas.height = network.height;
    this.show();
  }

  rgb(cell) {
    const colour = COLOURS[COLOUR_NAMES[cell]] ?? this.network.paper;
    if (this.network.channels === 3) return colour;
    const grey = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2];
    return [grey, grey, grey];
  }

  /** The scribble as a network sees it: C x H x W numbers in [-1, 1]. */
  picture() {
    const { channels, width, height } = this.network;
    const plane = width * height;
    const value = (channel, at) => this.rgb(this.cells[at])[channel] / 127.5 - 1;
    const numbers = { length: channels * plane };
    return Float32Array.from(numbers, (_, i) => value(Math.floor(i / plane), i % plane));
  }

  show() {
    const { width, height } = this.network;
    const image = new ImageData(width, height);
    for (let at = 0; at < width * height; at++) {
      const colour = this.wiping ? this._under(at) : this.rgb(this.cells[at]);
      const here = this.cursor !== null && at === this.cursor[1] * width + this.cursor[0];
      image.data.set([...colour.map((c) => (here ? (c < 128 ? 255 : 0) : c)), 255], 4 * at);
    }
    this.canvas.getContext("2d").putImageData(image, 0, 0);
  }

  /** What a picture with a gap shows: the picture, and a chequered gap. */
  _under(at) {
    const { width, height, channels } = this.network;
    const odd = ((at % width) + Math.floor(at / width)) % 2;
    if (this.cells[at]) return odd ? [255, 0, 200] : [90, 90, 90];
    if (this.base === null) return odd ? [200, 200, 200] : [170, 170, 170];
    const place = (c) => (channels === 3 ? c : 0) * width * height + at;
    return [0, 1, 2].map((c) => Math.round((this.base[place(c)] + 1) * 127.5));
  }

  _stroke(event) {
    const box = this.canvas.getBoundingClientRect();
    const across = ((event.clientX - box.left) / box.width) * this.network.width;
    const down = ((event.clientY - box.top) / box.height) * this.network.height;
    this.canvas.setPointerCapture(event.pointerId);
    const [from_across, from_down] = this.before ?? [across, down]; // a quick hand leaves no gaps
    const blots = Math.ceil(Math.hypot(across - from_across, down - from_down)) || 1;
    for (let k = 1; k <= blots; k++) {
      const share = k / blots;
      this.blot(from_across + share * (across - from_across), from_down + share * (down - from_down));
    }
    this.before = [across, down];
    this.show();
  }

  /** A round blot around a place, in cells from the left and from the top. */
  blot(across, down) {
    const { width, height } = this.network;
    const reach = this.brush / 2;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const near = Math.hypot(x + 0.5 - across, y + 0.5 - down) <= Math.max(reach, 0.71);
        if (near) this.cells[y * width + x] = this.wiping ? Number(this.colour !== 0) : this.colour;
      }
    }
  }

  _key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const { width, height } = this.network;
    const [x, y] = this.cursor ?? [width >> 1, height >> 1];
    if (moves[event.key]) {
      const [right, down] = moves[event.key];
      const within = (value, most) => Math.min(Math.max(value, 0), most - 1);
      this._point([within(x + right, width), within(y + down, height)]);
    } else if (event.key === " " || event.key === "Enter") {
      this.blot(x + 0.5, y + 0.5);
      this._point([x, y]);
      this.changed();
    } else {
      return;
    }
    event.preventDefault();
    const cell = this.cells[y * width + x];
    const what = this.wiping ? (cell ? "wiped" : "kept") : COLOUR_NAMES[cell];
    const [column, row] = this.cursor;
    this.told(`column ${column + 1}, row ${row + 1}${event.key.startsWith("Arrow") ? "" : `: ${what}`}`);
  }

  _point(cursor) {
    this.cursor = cursor;
    this.show();
  }
}
