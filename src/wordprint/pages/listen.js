"use strict";
// Rows of words to listen to and look at: players, spectrograms, filters, order. Its data is the JSON in #listen-data
// (see listen.py); what it draws follows the theme. Nothing is fetched: recordings are FLAC in base64.
(() => {
  const data = JSON.parse(document.getElementById("listen-data").textContent);
  const RATE = 16000; // Hz
  const PIXELS_PER_S = data.rows.some(({ clips }) => clips.length > 1) ? 250 : 400;
  const HOP = RATE / PIXELS_PER_S; // samples from one column of a spectrogram to the next
  const WINDOW = 192; // 12 ms: short enough to see where a sound begins, long enough for formants
  const FFT = 512;
  const BANDS = 88;
  const LOW_HZ = 60, HIGH_HZ = 7600; // the front end's
  const RANGE_DB = 62; // from the loudest point of a clip down to the paper's colour
  const GAP_S = 0.25; // silence between two clips of a row
  const FADE_S = 0.004; // so that a cut isn't heard as a click

  const list = document.getElementById("rows");

  function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name === "style" || name === "data") for (const [key, text] of Object.entries(value)) (name === "style" ? made.style.setProperty(key, text) : made.dataset[key] = text);
      else if (name in made) made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  // audio

  const decoded = new Map();

  function audio(number) { // a promise of the clip's AudioBuffer
    if (!decoded.has(number)) {
      const text = atob(data.clips[number].flac);
      const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
      decoded.set(number, new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes.buffer));
    }
    return decoded.get(number);
  }

  const player = { context: null, sources: [], turn: 0 };

  function stop() {
    player.turn += 1;
    for (const source of player.sources) source.stop();
    player.sources = [];
    for (const head of document.querySelectorAll(".playhead.on")) head.classList.remove("on");
    for (const row of document.querySelectorAll(".row.playing")) row.classList.remove("playing");
  }

  // Play stretches `{ picture, from, to }` (s) one after the other; the playhead shows where we are.
  async function play(stretches) {
    stop();
    const turn = player.turn;
    player.context ??= new AudioContext();
    await player.context.resume();
    const buffers = await Promise.all(stretches.map(({ picture }) => audio(picture.dataset.clip)));
    if (turn !== player.turn) return; // something else was asked for meanwhile
    let start = player.context.currentTime + 0.05;
    stretches.forEach(({ picture, from, to }, number) => {
      const source = new AudioBufferSourceNode(player.context, { buffer: buffers[number] });
      const gain = new GainNode(player.context, { gain: 0 });
      gain.gain.setValueAtTime(0, start);
      gain.gain.linearRampToValueAtTime(1, start + FADE_S);
      gain.gain.setValueAtTime(1, Math.max(start + FADE_S, start + to - from - FADE_S));
      gain.gain.linearRampToValueAtTime(0, start + to - from);
      source.connect(gain).connect(player.context.destination);
      source.start(start, from, to - from);
      player.sources.push(source);
      follow(turn, picture, start, from, to);
      start += to - from + GAP_S;
    });
    const row = stretches[0].picture.closest(".row");
    row.classList.add("playing");
    player.sources.at(-1).onended = () => turn === player.turn && stop();
  }

  function follow(turn, picture, start, from, to) {
    const head = picture.querySelector(".playhead");
    const seconds = data.clips[picture.dataset.clip].seconds;
    const move = () => {
      if (turn !== player.turn) return;
      const now = from + player.context.currentTime - start;
      head.classList.toggle("on", now >= from && now <= to);
      head.style.left = `${(100 * now) / seconds}%`;
      if (now <= to) requestAnimationFrame(move);
    };
    move();
  }

  const whole = (picture) => ({ picture, from: 0, to: data.clips[picture.dataset.clip].seconds });
  const bare = (picture) => {
    const [from, to] = data.clips[picture.dataset.clip].span;
    return { picture, from, to };
  };

  // spectrograms

  const mel = (hertz) => 1127 * Math.log1p(hertz / 700);
  const hertz = (mels) => 700 * Math.expm1(mels / 1127);
  const corners = Array.from({ length: BANDS + 2 }, (_, band) =>
    (hertz(mel(LOW_HZ) + ((mel(HIGH_HZ) - mel(LOW_HZ)) * band) / (BANDS + 1)) * FFT) / RATE);
  const hann = Float32Array.from({ length: WINDOW }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (n + 0.5)) / WINDOW));
  const cosines = Float32Array.from({ length: FFT / 2 }, (_, n) => Math.cos((2 * Math.PI * n) / FFT));
  const sines = Float32Array.from({ length: FFT / 2 }, (_, n) => Math.sin((2 * Math.PI * n) / FFT));
  const reversed = Uint16Array.from({ length: FFT }, (_, n) => parseInt(n.toString(2).padStart(Math.log2(FFT), "0").split("").reverse().join(""), 2));

  function transform(real, imaginary) { // in place, radix 2; the input is in bit-reversed order
    for (let size = 2; size <= FFT; size *= 2) {
      for (let block = 0; block < FFT; block += size) {
        for (let n = 0, turn = 0; n < size / 2; n += 1, turn += FFT / size) {
          const a = block + n, b = a + size / 2;
          const x = real[b] * cosines[turn] + imaginary[b] * sines[turn];
          const y = imaginary[b] * cosines[turn] - real[b] * sines[turn];
          real[b] = real[a] - x; imaginary[b] = imaginary[a] - y;
          real[a] += x; imaginary[a] += y;
        }
      }
    }
  }

  function spectrogram(samples) { // columns of BANDS powers in dB, the lowest band first
    const columns = Math.max(1, Math.round(samples.length / HOP));
    const levels = new Float32Array(columns * BANDS);
    const real = new Float32Array(FFT), imaginary = new Float32Array(FFT), power = new Float32Array(FFT / 2 + 1);
    for (let column = 0; column < columns; column += 1) {
      real.fill(0); imaginary.fill(0);
      const first = Math.round((column + 0.5) * HOP - WINDOW / 2);
      for (let n = 0; n < WINDOW; n += 1) {
        const at = first + n;
        // pre-emphasis: speech falls by 6 dB an octave, which would hide what is above 2 kHz
        if (at > 0 && at < samples.length) real[reversed[n]] = hann[n] * (samples[at] - 0.95 * samples[at - 1]);
      }
      transform(real, imaginary);
      for (let bin = 0; bin < power.length; bin += 1) power[bin] = real[bin] ** 2 + imaginary[bin] ** 2;
      for (let band = 0; band < BANDS; band += 1) {
        const [low, middle, high] = corners.slice(band, band + 3);
        let sum = 0, weights = 0;
        for (let bin = Math.floor(low); bin <= Math.ceil(high); bin += 1) {
          const weight = Math.max(0.05, Math.min((bin - low) / (middle - low), (high - bin) / (high - middle)));
          sum += weight * power[bin]; weights += weight;
        }
        levels[column * BANDS + band] = 10 * Math.log10(sum / weights + 1e-12);
      }
    }
    return { columns, levels };
  }

  function colour(name) { // of the page, as [r, g, b]
    const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
  }

  async function draw(picture) {
    const canvas = picture.querySelector("canvas");
    try {
      const { columns, levels } = spectrogram((await audio(picture.dataset.clip)).getChannelData(0));
      const paper = colour("--card"), ink = colour("--ink");
      canvas.width = columns; canvas.height = BANDS;
      const image = new ImageData(columns, BANDS);
      const loudest = levels.reduce((a, b) => Math.max(a, b), -120);
      for (let column = 0; column < columns; column += 1) {
        for (let band = 0; band < BANDS; band += 1) {
          const share = Math.max(0, 1 + (levels[column * BANDS + band] - loudest) / RANGE_DB) ** 1.4;
          const at = 4 * ((BANDS - 1 - band) * columns + column);
          for (let part = 0; part < 3; part += 1) image.data[at + part] = paper[part] + share * (ink[part] - paper[part]);
          image.data[at + 3] = 255;
        }
      }
      canvas.getContext("2d").putImageData(image, 0, 0);
      picture.dataset.drawn = "yes";
    } catch (error) {
      picture.dataset.drawn = "failed";
      picture.querySelector(".spectrum").append(element("p", { className: "failed" }, `This browser can't decode the recording (${error.message}).`));
    }
  }

  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting && !target.dataset.drawn) { target.dataset.drawn = "soon"; draw(target); }
    }
  }, { rootMargin: "800px" });

  // rows

  function tier(name, intervals, seconds, span) {
    const percent = (time) => `${(100 * Math.min(Math.max(time, 0), seconds)) / seconds}%`;
    return element("div", { className: `tier ${name}` }, ...intervals.map(([symbol, from, to]) => {
      const own = from >= span[0] - 0.001 && to <= span[1] + 0.001;
      return element("button", {
        type: "button", tabIndex: -1, className: own ? "interval own" : "interval", title: `${symbol} · ${(1000 * (to - from)).toFixed(0)} ms`,
        style: { left: percent(from), width: `calc(${percent(to)} - ${percent(from)})` }, data: { from: Math.max(from, 0), to: Math.min(to, seconds) },
      }, symbol);
    }));
  }

  function hidden(clip) { // what SpecAugment hid from the network
    const block = (left, right, top, bottom) => element("i", { className: "hidden", style: {
      left: `${100 * left}%`, width: `${100 * (right - left)}%`, top: `${100 * top}%`, height: `${100 * (bottom - top)}%` } });
    return [...clip.hidden_times.map(([from, to]) => block(from, to, 0, 1)), ...clip.hidden_bands.map(([from, to]) => block(0, 1, 1 - to, 1 - from))];
  }

  function figure([number, label, note]) {
    const clip = data.clips[number];
    const boundary = (time) => element("i", { className: "boundary", style: { left: `${(100 * time) / clip.seconds}%` } });
    const picture = element("div", { className: "picture", data: { clip: number }, style: { width: `${clip.seconds * PIXELS_PER_S}px` } },
      tier("words", clip.words, clip.seconds, clip.span),
      element("div", { className: "spectrum", title: "play all of it" },
        element("canvas", { role: "img", "aria-label": `spectrogram of ${label || "the word"}` }),
        ...hidden(clip), ...clip.span.map(boundary), element("i", { className: "playhead" })),
      ...(clip.phones.length ? [tier("phones", clip.phones, clip.seconds, clip.span)] : []));
    seen.observe(picture);
    const button = (text, what) => element("button", { type: "button", className: "play", data: { play: what } }, text);
    return element("figure", { className: "clip" },
      element("div", { className: "head" }, ...(label ? [element("div", { className: "role" }, element("strong", {}, label), " ", element("span", { className: "muted" }, note))] : []), button("▶ word", "bare"), button(`▶ ${data.whole}`, "whole")),
      element("div", { className: "wide" }, picture));
  }

  function build(row) {
    const facts = row.facts.flatMap(([name, text, tone]) => [element("dt", {}, name), element("dd", { className: tone }, text)]);
    return element("article", { className: "card row", tabIndex: 0, "aria-label": row.title },
      element("div", { className: "about" }, element("h3", {}, row.title), element("dl", {}, ...facts)),
      element("div", { className: "clips" }, ...row.clips.map(figure)));
  }

  const rows = data.rows.map((row) => ({ ...row, element: build(row) }));

  list.addEventListener("click", ({ target }) => {
    const row = target.closest(".row");
    const clip = target.closest(".clip");
    if (!clip) return;
    const picture = clip.querySelector(".picture");
    row.focus({ preventScroll: true });
    if (target.dataset.play) play([target.dataset.play === "bare" ? bare(picture) : whole(picture)]);
    else if (target.dataset.from) play([{ picture, from: Number(target.dataset.from), to: Number(target.dataset.to) }]);
    else if (target.closest(".spectrum")) play([whole(picture)]);
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, summary, a, button")) return;
    const row = document.activeElement.closest(".row");
    const pictures = row ? [...row.querySelectorAll(".picture")] : [];
    if (event.key === "Escape") stop();
    else if (event.key === " " && row) play(pictures.map(event.shiftKey ? whole : bare));
    else if (pictures[event.key - 1]) play([whole(pictures[event.key - 1])]);
    else if (["ArrowDown", "j"].includes(event.key)) (row ? row.nextElementSibling : list.firstElementChild)?.focus();
    else if (["ArrowUp", "k"].includes(event.key)) row?.previousElementSibling?.focus();
    else return;
    event.preventDefault();
  });

  // filters and order

  const form = document.getElementById("filters");
  const labelled = (label, ...controls) => element("label", {}, element("span", {}, label), ...controls);
  const names = (key) => [...new Set(rows.flatMap(({ values }) => values[key] ?? []))].sort();

  const KINDS = { // each gives a control, and a test of a row's value
    text({ key, label }) {
      const known = new Set(names(key));
      const input = element("input", { type: "search", name: key, placeholder: "all or part of it" });
      const test = (value) => {
        const asked = input.value.trim().toLowerCase();
        const wanted = known.has(asked) ? (name) => name === asked : (name) => name.toLowerCase().includes(asked); // "the" is not "other"
        return [value].flat().some((name) => wanted(name ?? ""));
      };
      return { control: labelled(label, input), test };
    },
    choice({ key, label }) {
      const options = names(key).map((name) => element("option", { value: name }, name));
      const select = element("select", { name: key }, element("option", { value: "" }, `all (${options.length})`), ...options);
      return { control: labelled(label, select), test: (value) => !select.value || [value].flat().includes(select.value) };
    },
    range({ key, label }) {
      const numbers = rows.map(({ values }) => values[key]).filter((value) => value !== null);
      const digits = (value) => String(Number(value.toFixed(2)));
      const ends = ["min", "max"].map((end) => element("input", {
        type: "number", step: "any", name: `${key}-${end}`, placeholder: numbers.length ? digits(Math[end](...numbers)) : "–", "aria-label": `${label}, ${end}` }));
      const test = (value) => (!ends[0].value || (value !== null && value >= Number(ends[0].value))) && (!ends[1].value || (value !== null && value <= Number(ends[1].value)));
      return { control: labelled(label, element("span", { className: "range" }, ends[0], "–", ends[1])), test };
    },
  };
  const filters = data.filters.map((filter) => ({ key: filter.key, ...KINDS[filter.kind](filter) }));
  const order = element("select", { name: "order" }, ...data.orders.map(({ label }, number) => element("option", { value: number }, label)));

  function show() {
    stop();
    const shown = rows.filter(({ values }) => filters.every(({ key, test }) => test(values[key])));
    const { key, descending } = data.orders[order.value];
    const compare = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : (a < b ? -1 : 1) * (descending ? -1 : 1));
    shown.sort((a, b) => compare([a.values[key]].flat()[0], [b.values[key]].flat()[0]));
    list.replaceChildren(...shown.map((row) => row.element));
    document.getElementById("count").textContent = `${shown.length} of ${rows.length} shown`;
  }

  form.prepend(...filters.map(({ control }) => control), labelled("Order", order));
  form.addEventListener("input", show);
  form.addEventListener("reset", () => setTimeout(show));
  form.addEventListener("submit", (event) => event.preventDefault());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.querySelectorAll(".picture[data-drawn=yes]").forEach(draw));
  show();
})();
