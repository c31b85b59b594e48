// The spotter of wordprint in the browser: spot/stream.py, match.py and decide.py, and goodness.py, over the same ONNX files.
import * as ort from "./ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
ort.env.wasm.numThreads = 1;

/** One stream: push(samples) resolves to the detections that they bring. Samples are 16 kHz mono, full scale ±1. */
export class Spotter {
  static async load(base = "./") {
    const config = await (await fetch(base + "spotter.json")).json();
    const [encoder, head] = await Promise.all(
      ["encoder.onnx", "head.onnx"].map((name) => ort.InferenceSession.create(base + name)));
    return new Spotter(config, encoder, head);
  }

  constructor(config, encoder, head) {
    Object.assign(this, { config, encoder, head });
    const longest = Math.ceil(Math.max(...config.lengths_s) * config.sample_rate);
    this.longest = longest;
    this.width = config.silence.length;
    this.kept = Math.floor(longest / config.frame_samples) + config.block_samples / config.frame_samples + 4 + config.goodness.pause_frames;
    this.words = [...config.keywords, ...config.rivals];
    this.prototypes = this.words.map((word) => word.prototypes.map((vector) => Float32Array.from(vector)));
    this.mistakes = this.words.map((word) => word.mistakes.map((vector) => Float32Array.from(vector)));
    this.allowed = this.words.map((word) => config.lengths_s.map((_, place) => word.lengths.includes(place)));
    this.reset();
  }

  reset() {
    const { config, kept, width } = this;
    this.frames = new Float32Array(kept * width);
    for (let row = 0; row < kept; row++) this.frames.set(config.silence, row * width);
    this.powers = new Float64Array(kept + config.delay_frames);
    this.pending = new Float32Array(config.block_samples);
    this.filled = 0;
    this.heard = 0;
    this.total = Infinity;
    const bytes = Uint8Array.from(atob(config.state), (character) => character.charCodeAt(0));
    const state = new Float32Array(bytes.buffer);
    this.state = new ort.Tensor("float32", state, [1, state.length]);
    this.candidate = null;
    this.last = null;
    this.rivals = [];
    this.deafUntil = config.keywords.map(() => -1);
    this.spent = config.keywords.map(() => false);
    this.similarities = config.keywords.map(() => -Infinity);
  }

  async push(samples) {
    const found = [];
    for (let used = 0; used < samples.length;) {
      const piece = samples.subarray(used, used + this.pending.length - this.filled);
      this.pending.set(piece, this.filled);
      this.filled += piece.length;
      used += piece.length;
      if (this.filled === this.pending.length) {
        const detection = await this.look();
        if (detection) found.push(detection);
      }
    }
    return found;
  }

  /** The stream has ended: what its last moments bring, as if silence followed. */
  async finish() {
    const { config } = this;
    this.total = this.heard + this.filled;
    const rest = Math.floor(this.longest / 2) + (config.delay_frames + 1) * config.frame_samples + config.block_samples;
    const found = await this.push(new Float32Array(rest));
    const last = this.decide(config.keywords.map(() => false));
    if (last) found.push(last);
    this.reset();
    return found;
  }

  async look() {
    const { config, width } = this;
    const samples = new ort.Tensor("float32", this.pending.slice(), [1, this.pending.length]);
    const out = await this.encoder.run({ samples, state: this.state });
    this.state = out.following;
    const fresh = out.frames.dims[1];
    this.frames.copyWithin(0, fresh * width);
    this.frames.set(out.frames.data, this.frames.length - fresh * width);
    this.powers.copyWithin(0, fresh);
    for (let frame = 0; frame < fresh; frame++) {
      this.powers[this.powers.length - fresh + frame] = variance(this.pending, frame * config.frame_samples, config.frame_samples);
    }
    this.heard += this.pending.length;
    this.filled = 0;
    const best = await this.compare(fresh);
    if (!best) return null;
    this.similarities = best.slice(0, config.keywords.length).map((one) => one.similarity);
    return this.step(best);
  }

  /** How similar the best length of each keyword is on average over its ends in the newest frames, and its best span; null where
      none ends there. */
  async compare(fresh) {
    const { config, kept, width, words } = this;
    const best = words.map(() => ({ similarity: -Infinity, onset: 0, offset: 0 }));
    const newest = this.heard / config.frame_samples - 1 - config.delay_frames, first = newest - kept + 1;
    const sums = [0];
    for (let row = 0; row < kept; row++) sums.push(sums[row] + this.powers[row]);
    const spans = [];
    let ends = 0;
    for (let number = newest - fresh + 1; number <= newest; number++) {
      if ((((number + 1) % config.hop_frames) + config.hop_frames) % config.hop_frames !== 0) continue;
      ends++;
      config.lengths_s.forEach((length_s, place) => {
        const offset = number + 0.5, onset = offset - (length_s * config.sample_rate) / config.frame_samples;
        const middle = ((onset + offset) / 2) * config.frame_samples;
        const low = clamp(Math.round(onset - first), 0, kept), high = clamp(Math.round(offset - first), 0, kept);
        if (middle < 0 || middle > this.total || sums[high] - sums[low] < config.min_power * Math.max(high - low, 1)) return;
        spans.push({ onset, offset, place });
      });
    }
    if (!spans.length) return ends ? best : null;
    const beside = 2 + Math.max(...spans.map((span) => span.offset - span.onset)) / 4;
    const lowest = Math.max(0, Math.floor(Math.min(...spans.map((span) => span.onset)) - first - beside));
    const bounds = new Float32Array(spans.length * 2);
    spans.forEach((span, row) => bounds.set([span.onset - first - lowest, span.offset - first - lowest], 2 * row));
    const { vectors } = await this.head.run({
      frames: new ort.Tensor("float32", this.frames.slice(lowest * width), [kept - lowest, width]),
      spans: new ort.Tensor("float32", bounds, [spans.length, 2]),
    });
    const size = vectors.dims[1];
    const rows = config.lengths_s.map((_, place) => [...spans.keys()].filter((row) => spans[row].place === place));
    const similar = (row, word, prototype) => {
      const vector = vectors.data.subarray(row * size, (row + 1) * size), similarity = dot(vector, prototype);
      const mistaken = Math.max(-Infinity, ...this.mistakes[word].map((mistake) => dot(vector, mistake)));
      return similarity - config.steepness * Math.max(mistaken - similarity, 0);
    };
    this.prototypes.forEach((prototypes, word) => prototypes.forEach((prototype) => rows.forEach((ends, place) => {
      if (!ends.length || !this.allowed[word][place]) return;
      const found = ends.map((row) => similar(row, word, prototype));
      const similarity = found.reduce((sum, one) => sum + one, 0) / found.length;
      if (similarity <= best[word].similarity) return;
      const { onset, offset } = spans[ends[found.indexOf(Math.max(...found))]];
      best[word] = { similarity, onset: onset * config.frame_samples, offset: offset * config.frame_samples };
    })));
    best.forEach((one, word) => {
      const { sounds, threshold } = words[word];
      const far = () => one.similarity < threshold - config.goodness.below;
      if (!config.goodness.columns || far()) return;
      const [start, end] = [one.onset, one.offset].map((place) => place / config.frame_samples - first);
      one.similarity -= this.runOn(start);
      if (!sounds.length || far()) return;
      one.similarity -= Math.min(...sounds.map((string) => this.shortfall(string, start, end)));
    });
    return best;
  }

  /** What sound before a span, that begins at a frame that is kept, takes from it: `run_ons` of goodness.py. */
  runOn(start) {
    const { config, width } = this, { pause_frames, of_sound, columns } = config.goodness;
    const end = Math.max(0, Math.floor(start + 0.5)), low = Math.max(0, end - pause_frames);
    let silent = 0;
    for (let frame = low; frame < end; frame++) {
      const scores = this.frames.subarray((frame + 1) * width - columns, (frame + 1) * width);
      silent += 1 / scores.reduce((sum, score) => sum + Math.exp(score - scores[0]), 0);
    }
    return end > low ? of_sound * (1 - silent / (end - low)) : 0;
  }

  /** What the phones of a span, in frames that are kept, are unlike a string of them: `_shortfalls` of goodness.py. */
  shortfall(string, start, end) {
    const { config, kept, width } = this, { before, of_frames, of_worst, least_likely, columns } = config.goodness;
    const low = clamp(Math.floor(start + 0.5) - before, 0, kept - 1), high = clamp(Math.ceil(end), low + 1, kept);
    const states = [0, ...string, 0], last = states.length - 1;
    const fit = (frame, state) => this.frames[(frame + 1) * width - columns + states[state]];
    let total = states.map((_, state) => (state < 2 ? fit(low, state) : -Infinity));
    const entered = [];
    for (let frame = low + 1; frame < high; frame++) {
      const from = total.map((sum, state) => state > 0 && total[state - 1] > sum);
      total = total.map((sum, state) => (from[state] ? total[state - 1] : sum) + fit(frame, state));
      entered.push(from);
    }
    let state = total[last] > total[last - 1] ? last : last - 1;
    const mean = total[state] / (high - low);
    if (!Number.isFinite(mean)) return -(of_frames + of_worst) * least_likely; // fewer frames than phones
    const sums = states.map(() => 0), counts = states.map(() => 0);
    for (let frame = high - 1; frame >= low; frame--) {
      sums[state] += fit(frame, state);
      counts[state]++;
      if (frame > low && entered[frame - low - 1][state]) state--;
    }
    const phones = string.map((_, place) => sums[place + 1] / counts[place + 1]).sort((one, other) => one - other);
    const third = phones.slice(0, Math.max(1, Math.floor(string.length / 3)));
    return -(of_frames * mean + of_worst * third.reduce((sum, phone) => sum + phone, 0) / third.length);
  }

  /** The decision logic of spot/decide.py: one look in, at the keywords and then their rivals; a detection or null out. */
  step(looked) {
    const { config } = this;
    const best = looked.slice(0, config.keywords.length), others = looked.slice(config.keywords.length);
    this.rivals = this.rivals.filter((rival) => rival.end > this.heard - config.refractory_samples);
    others.forEach((one, number) => {
      const { owner, threshold } = config.rivals[number], margin = one.similarity - threshold;
      if (margin >= 0) this.rivals.push({ ...one, owner, margin, end: this.heard });
    });
    const margins = best.map((one, word) => one.similarity - config.keywords[word].threshold);
    const hits = margins.map((margin) => margin >= 0);
    this.spent = this.spent.map((spent, word) => spent && hits[word]);
    const { last } = this;
    const recent = last && this.heard < last.end + config.refractory_samples;
    let word = -1;
    margins.forEach((margin, number) => {
      if (!hits[number] || this.spent[number] || this.heard < this.deafUntil[number]) return;
      if (recent && !elsewhere(last, best[number])) return;
      if (this.beaten(number, margin, best[number])) return;
      if (word < 0 || margin > margins[word]) word = number;
    });
    if (word >= 0 && !this.candidate) this.due = this.heard + config.hold_samples;
    if (word >= 0 && (!this.candidate || margins[word] > this.candidate.margin)) {
      this.candidate = { word, end: this.heard, margin: margins[word], ...best[word] };
    }
    if (!this.candidate || this.heard < this.due) return null;
    return this.decide(hits);
  }

  /** Whether a rival of a keyword was nearer to what is in the span. */
  beaten(word, margin, span) {
    return this.rivals.some((rival) => rival.owner === word && rival.margin > margin
      && Math.abs(rival.offset - span.offset) <= this.config.same_end_samples && !elsewhere(rival, span));
  }

  decide(hits) {
    const { config, candidate } = this;
    if (!candidate) return null;
    this.candidate = null;
    if (this.beaten(candidate.word, candidate.margin, candidate)) return null;
    this.last = candidate;
    this.deafUntil[candidate.word] = candidate.end + config.refractory_samples;
    this.spent[candidate.word] = hits[candidate.word];
    const seconds = (samples) => Math.round((1000 * samples) / config.sample_rate) / 1000;
    return {
      keyword: config.keywords[candidate.word].keyword,
      onset_s: Math.max(0, seconds(candidate.onset)),
      offset_s: seconds(Math.min(candidate.offset, this.total)),
      time_s: seconds(Math.min(this.heard, this.total)),
      similarity: Math.round(1e4 * candidate.similarity) / 1e4,
    };
  }
}

/** Whether two spans share less than half of the shorter. */
function elsewhere(one, other) {
  const shared = Math.min(one.offset, other.offset) - Math.max(one.onset, other.onset);
  return shared < Math.min(one.offset - one.onset, other.offset - other.onset) / 2;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function variance(samples, start, count) {
  let sum = 0, squares = 0;
  for (let i = start; i < start + count; i++) sum += samples[i];
  const mean = sum / count;
  for (let i = start; i < start + count; i++) squares += (samples[i] - mean) ** 2;
  return squares / count;
}
