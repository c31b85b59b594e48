// Hearing and seeing recordings: one player for the page, waveforms, and samples as a WAV file.

const FADE_S = 0.005; // so that a cut isn’t heard as a click
let shared;

export function context() {
  shared ??= new AudioContext({ latencyHint: "interactive" });
  if (shared.state === "suspended") shared.resume();
  return shared;
}

// Mono samples of a file that the server sends, and their rate; no context that plays is needed.
export async function decoded(content) {
  const view = new DataView(content); // WAV, 16-bit mono, as server.py writes it
  let place = 12;
  let rate = 0;
  while (place + 8 <= view.byteLength) {
    const kind = view.getUint32(place);
    const length = view.getUint32(place + 4, true);
    if (kind === 0x666d7420) rate = view.getUint32(place + 12, true);
    if (kind === 0x64617461) {
      const values = new Int16Array(content.slice(place + 8, place + 8 + length - (length % 2)));
      return { rate, samples: Float32Array.from(values, (value) => value / 32768) };
    }
    place += 8 + length + (length % 2);
  }
  throw new Error("no samples");
}

let playing = null; // { source, button, frame }

export const isPlaying = () => playing !== null;

export function stop() {
  const was = playing;
  playing = null;
  if (!was) return;
  was.source.onended = null;
  was.source.stop();
  cancelAnimationFrame(was.frame);
  was.done();
}

// Plays `[from_s, to_s)`; `at` is given the time while it lasts, null at its end.
export function play({ samples, rate }, from_s, to_s, at) {
  stop();
  const audio = context();
  const first = Math.max(0, Math.round(from_s * rate));
  const piece = samples.slice(first, Math.round(to_s * rate));
  const fade = Math.min(Math.round(FADE_S * rate), piece.length >> 1);
  for (let i = 0; i < fade; i += 1) {
    piece[i] *= i / fade;
    piece[piece.length - 1 - i] *= i / fade;
  }
  if (!piece.length) return;
  const buffer = audio.createBuffer(1, piece.length, rate);
  buffer.copyToChannel(piece, 0);
  const source = new AudioBufferSourceNode(audio, { buffer });
  source.connect(audio.destination);
  source.onended = stop;
  const begun = audio.currentTime;
  const mine = { source, frame: 0, done: () => at(null) };
  playing = mine;
  source.start();
  const tick = () => {
    at(from_s + audio.currentTime - begun);
    mine.frame = requestAnimationFrame(tick);
  };
  tick();
}

// Draws (N,) samples as bars; what lies outside `[start_s, end_s)` is faint, and `head_s` is where it plays.
export function drawWave(canvas, { samples, rate }, { start_s = 0, end_s = Infinity, head_s = null } = {}) {
  const style = getComputedStyle(canvas);
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width) return;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const ink = canvas.getContext("2d");
  ink.scale(scale, scale);
  const total_s = samples.length / rate;
  const x = (time_s) => (time_s / total_s) * width;
  const kept = style.getPropertyValue("--wave");
  if (end_s !== Infinity) {
    ink.globalAlpha = 0.13;
    ink.fillStyle = kept;
    ink.beginPath();
    ink.roundRect(x(start_s), 0, x(end_s) - x(start_s), height, 5);
    ink.fill();
    ink.globalAlpha = 1;
  }
  const bars = Math.max(1, Math.floor(width / 3));
  const size = samples.length / bars;
  let loudest = 0.02;
  for (const sample of samples) loudest = Math.max(loudest, Math.abs(sample));
  for (let bar = 0; bar < bars; bar += 1) {
    let peak = 0;
    for (let i = Math.floor(bar * size); i < (bar + 1) * size && i < samples.length; i += 1) peak = Math.max(peak, Math.abs(samples[i]));
    const time_s = ((bar + 0.5) / bars) * total_s;
    const inside = time_s >= start_s && time_s < end_s;
    const tall = Math.max(2, (peak / loudest) * (height - 8));
    ink.fillStyle = inside ? kept : style.getPropertyValue("--faint");
    ink.beginPath();
    ink.roundRect((bar / bars) * width + 0.5, (height - tall) / 2, 2, tall, 1);
    ink.fill();
  }
  if (head_s !== null) {
    ink.fillStyle = style.getPropertyValue("--ink");
    ink.fillRect(x(head_s) - 0.75, 0, 1.5, height);
  }
}

// Samples at full scale ±1 as a 16-bit WAV file.
export function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (place, letters) => [...letters].forEach((letter, i) => view.setUint8(place + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  new Int16Array(view.buffer, 44).set(int16(samples)); // little-endian, as every machine with a browser is
  return view.buffer;
}

export const int16 = (samples) => Int16Array.from(samples, (value) => Math.max(-32768, Math.min(32767, Math.round(value * 32768))));
