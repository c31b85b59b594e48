// What was heard, newest first: keyword, similarity against its threshold, time, a player, and a way to say that it was wrong.

import { bytes, change } from "./api.js";
import { element, iconButton, whenSeen } from "./dom.js";
import { decoded, drawWave, play } from "./sound.js";

const SHOWN = 100; // as many as the server keeps
const AFTER_S = 0.5; // of audio follows a detection; live.py keeps it

export class Detections {
  // `changed(state)` is given what the server answers to a correction.
  constructor(root, colourOf, changed) {
    this.root = root;
    this.colourOf = colourOf;
    this.changed = changed;
    this.entries = [];
  }

  get count() {
    return this.entries.length;
  }

  // All that there are, oldest first, as the server has them.
  fill(detections) {
    this.entries.forEach(({ node }) => node.remove());
    this.entries = [];
    detections.forEach((found) => this.add(found));
  }

  add(found) {
    const entry = new Entry(found, this);
    this.entries.push(entry);
    this.root.prepend(entry.node);
    if (this.entries.length > SHOWN) this.entries.shift().node.remove();
    this.colour();
  }

  // What was corrected, or no longer is; the rest of what is known of them stays.
  mark(detections) {
    const corrected = new Map(detections.map(({ number, corrected }) => [number, corrected]));
    for (const entry of this.entries) entry.mark(corrected.get(entry.found.number) ?? false);
  }

  colour() {
    for (const { node, found } of this.entries) node.style.setProperty("--own", this.colourOf(found.keyword) ?? "var(--muted)");
  }
}

class Entry {
  constructor(found, list) {
    this.found = found;
    this.list = list;
    this.sound = null;
    const at = new Date(found.at);
    const clock = (this.clock = at.toLocaleTimeString());
    this.canvas = element("canvas", { className: "wave", "aria-hidden": "true", onclick: () => this.play() });
    this.button = iconButton("play", `Play ${found.keyword}, ${clock}`, () => this.play());
    const time = element("time", { dateTime: found.at }, clock);
    const score = element("span", { className: "score", title: `similarity; the threshold was ${found.threshold.toFixed(2)}` }, found.similarity.toFixed(2));
    const what = element("div", { className: "what" }, element("b", {}, element("i", { className: "dot" }), found.keyword), time);
    this.wrong = element("button", { type: "button", className: "wrong", title: "It was not said: what sounds so is taken for it less easily", onclick: () => this.correct() });
    this.node = element("li", {}, this.button, what, this.canvas, score, this.wrong);
    this.mark(found.corrected);
    this.lead_s = Math.min(AFTER_S, found.onset_s);
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    // what follows the detection is still to be heard
    const wait_s = Math.max(0, found.offset_s + AFTER_S - found.time_s) + 0.2;
    const fresh = Date.now() - at < 5000;
    whenSeen(this.node, () => setTimeout(() => this.load().catch(() => {}), fresh ? wait_s * 1000 : 0));
  }

  mark(corrected) {
    this.node.classList.toggle("corrected", corrected);
    this.wrong.disabled = corrected;
    this.wrong.textContent = corrected ? "Corrected" : "Wrong";
    this.wrong.setAttribute("aria-label", `${corrected ? "Corrected" : "Wrong"}: ${this.found.keyword}, ${this.clock}`);
  }

  async correct() {
    this.wrong.disabled = true;
    try {
      this.list.changed(await change("POST", "mistake", { number: this.found.number }));
    } catch (error) {
      this.wrong.disabled = false;
      this.tell(error.message);
    }
  }

  tell(text) {
    this.button.title = text;
    this.node.querySelector("time").textContent = text;
  }

  async load() {
    this.sound = await decoded(await bytes("detection", { number: this.found.number }));
    this.draw();
  }

  draw(head_s = null) {
    if (!this.sound) return;
    const lasts_s = this.found.offset_s - this.found.onset_s;
    drawWave(this.canvas, this.sound, { start_s: this.lead_s, end_s: this.lead_s + lasts_s, head_s });
  }

  async play() {
    try {
      if (!this.sound) await this.load();
    } catch (error) {
      this.tell(error.message);
      return;
    }
    play(this.sound, 0, this.sound.samples.length / this.sound.rate, (at) => this.draw(at));
  }
}
