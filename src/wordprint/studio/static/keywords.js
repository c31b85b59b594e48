// The keywords: a card for each, with its recordings as waveforms, how it is pronounced, what there is to say about it, and ways
// to add to it.

import { bytes, change, get } from "./api.js";
import { confirmed, element, icon, iconButton, seconds, similarity, whenSeen } from "./dom.js";
import { leave, level_db, listen } from "./microphone.js";
import { decoded, drawWave, play, stop, wav } from "./sound.js";

const WANTED = 3; // recordings
const LONGEST_S = 5;
const QUIET_S = 0.8; // after the keyword, before a recording ends by itself
const ABOVE_FLOOR_DB = 12;
const LOWEST_DB = -50;

export class Keywords {
  // `changed(state)` is given what the server answers, `missed(keyword)` that one was said and not heard.
  constructor(root, changed, missed) {
    this.root = root;
    this.changed = changed;
    this.missed = missed;
    this.cards = new Map();
  }

  update(keywords) {
    const names = new Set(keywords.map(({ keyword }) => keyword));
    for (const [name, card] of this.cards) {
      if (names.has(name) || card.draft) continue;
      card.forget();
      this.cards.delete(name);
    }
    for (const keyword of keywords) {
      const known = this.cards.has(keyword.keyword);
      const card = this.card(keyword.keyword);
      if (!known) this.root.prepend(card.node); // the newest first
      card.update(keyword);
    }
  }

  // What became of a keyword that was missed; without one, nothing is listened to any more.
  missDone(name = "", error = "") {
    for (const card of this.cards.values()) if (!name || card.name === name) card.missDone(error);
  }

  get empty() {
    return this.cards.size === 0;
  }

  card(name) {
    if (!this.cards.has(name)) this.cards.set(name, new Card(name, this));
    return this.cards.get(name);
  }

  // A keyword that has no recording yet: the page alone knows of it.
  draft(text) {
    const name = text.trim().replace(/\s+/g, " ");
    const known = [...this.cards.keys()].find((other) => other.toLowerCase() === name.toLowerCase());
    const card = this.card(known ?? name);
    this.root.prepend(...(known ? [] : [card.node]));
    card.recordButton.focus();
    return card;
  }

  drop(card) {
    card.forget();
    this.cards.delete(card.name);
  }
}

class Card {
  constructor(name, keywords) {
    this.name = name;
    this.keywords = keywords;
    this.draft = true;
    this.shots = new Map(); // by file, and which time in it
    this.recorder = null;
    this.known = ""; // what the verdict is about
    this.verdict = element("p", { className: "verdict" });
    this.notes = element("ul", { className: "notes" });
    this.expected = element("ul", { className: "expected muted" });
    this.mistakes = element("p", { className: "mistakes muted", hidden: true });
    this.problem = element("p", { className: "problem bad", role: "alert", hidden: true });
    this.tiles = element("div", { className: "shots" });
    this.tiles.append(this.makeAdder());
    const remove = iconButton("remove", `Remove ${name}`, () => this.remove());
    const title = element("h3", {}, element("i", { className: "dot" }), name);
    this.missedButton = element("button", { type: "button", className: "missed", title: "It was just said and not heard: learn it from the last seconds", "aria-label": `Missed ${name}`, onclick: () => this.miss() }, "Missed");
    const header = element("header", {}, title, this.verdict, this.missedButton, remove);
    this.node = element("article", { className: "card draft", "aria-label": name }, header, this.tiles, this.makeSpeller(), this.expected, this.mistakes, this.notes, this.problem);
    this.node.ondragover = (event) => {
      event.preventDefault();
      this.node.classList.add("over");
    };
    this.node.ondragleave = () => this.node.classList.remove("over");
    this.node.ondrop = (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.node.classList.remove("over");
      this.addFiles([...event.dataTransfer.files]);
    };
    keywords.root.append(this.node);
    this.judge([]);
  }

  // Adds how it is pronounced, or changes that.
  makeSpeller() {
    this.phones = element("input", { maxLength: 300, spellcheck: false, autocapitalize: "characters", "aria-label": `Phones of ${this.name}`, oninput: () => this.showSpeller() });
    this.spellButton = element("button", { type: "submit" });
    this.saved = "";
    this.speller = element("form", { className: "spelling", autocomplete: "off" }, element("label", {}, element("span", {}, "Sounds like"), this.phones), this.spellButton);
    this.speller.onsubmit = (event) => {
      event.preventDefault();
      this.spell();
    };
    this.showSpeller();
    return this.speller;
  }

  showSpeller() {
    const typed = this.saved !== "";
    this.speller.classList.toggle("typed", typed);
    this.spellButton.textContent = typed ? "Save" : "Use its spelling";
    this.spellButton.setAttribute("aria-label", typed ? `Save the phones of ${this.name}` : `Use the spelling of ${this.name}`);
    this.spellButton.hidden = typed && this.phones.value.trim() === this.saved;
  }

  async spell() {
    this.tell("");
    try {
      this.keywords.changed(await change("POST", "phones", { keyword: this.name, phones: this.phones.value }));
    } catch (error) {
      this.tell(error.message);
    }
  }

  miss() {
    this.tell("");
    this.missedButton.disabled = true;
    this.says.textContent = "Looking for it…";
    this.keywords.missed(this.name);
  }

  missDone(error) {
    this.missedButton.disabled = false;
    this.says.textContent = "";
    if (error) this.tell(error);
  }

  makeAdder() {
    this.canvas = element("canvas", { className: "wave", "aria-hidden": "true" });
    this.says = element("span", { role: "status" });
    this.recordButton = element("button", { type: "button", className: "record", onclick: () => this.record() });
    this.label("microphone", "Record", `Record ${this.name}`);
    const input = element("input", { type: "file", multiple: true, accept: "audio/*,.flac,.wav,.mp3,.ogg,.aiff", className: "visually-hidden" });
    input.onchange = () => {
      this.addFiles([...input.files]);
      input.value = "";
    };
    input.setAttribute("aria-label", `Add files to ${this.name}`);
    const files = element("label", { className: "files", title: "Drop recordings here, or choose them" }, input, "or add files");
    this.adder = element("div", { className: "shot adder" }, this.canvas, this.recordButton, this.says, files);
    return this.adder;
  }

  update(keyword) {
    this.draft = false;
    this.node.classList.remove("draft");
    this.node.style.setProperty("--own", keyword.colour);
    const key = ({ recording, take }) => `${recording}\n${take}`;
    const wanted = new Set(keyword.shots.map(key));
    for (const [known, shot] of this.shots) {
      if (wanted.has(known)) continue;
      shot.node.remove();
      this.shots.delete(known);
    }
    keyword.shots.forEach((found, index) => {
      if (!this.shots.has(key(found))) this.shots.set(key(found), new Shot(this, found.recording));
      const shot = this.shots.get(key(found));
      this.adder.before(shot.node); // in the order of the server
      shot.update(found, index + 1, keyword.shots.length > 1);
    });
    const phones = keyword.phones.join(", ");
    if (phones !== this.saved) this.phones.value = phones;
    this.saved = phones;
    this.showSpeller();
    this.showMistakes(keyword.mistakes);
    const known = JSON.stringify({ ...keyword, colour: "" });
    if (known !== this.known) this.ask(known);
  }

  showMistakes(count) {
    const undo = element("button", { type: "button", className: "link", onclick: () => this.forgetMistakes() }, "Undo");
    undo.setAttribute("aria-label", `Undo the corrections of ${this.name}`);
    this.mistakes.replaceChildren(`${count} false alarm${count === 1 ? "" : "s"} corrected `, undo);
    this.mistakes.hidden = !count;
  }

  async forgetMistakes() {
    try {
      this.keywords.changed(await change("DELETE", "mistakes", { keyword: this.name }));
    } catch (error) {
      this.tell(error.message);
    }
  }

  // What to expect of it comes a moment later.
  async ask(known) {
    this.known = known;
    this.judge([]);
    try {
      const { problems, facts } = await get("verdict", { keyword: this.name });
      if (this.known !== known) return;
      this.judge(problems);
      this.expected.replaceChildren(...facts.map((line) => element("li", {}, line)));
    } catch (error) {
      if (this.known !== known || !this.node.isConnected) return;
      this.known = "";
      this.tell(error.message);
    }
  }

  judge(problems) {
    const count = this.shots.size;
    const odd = [...this.shots.values()].some((shot) => shot.warned);
    const alike = [...this.shots.values()].map(({ agreement }) => agreement).filter((value) => value !== null).sort((a, b) => a - b);
    const typical = alike.length ? `, ${similarity(alike[alike.length >> 1])} alike` : "";
    const recordings = `${count} recording${count === 1 ? "" : "s"}${typical}`;
    const typed = this.saved !== "";
    const [text, kind] = !count && !typed ? ["not recorded yet", "muted"]
      : odd || problems.length ? [count ? recordings : "typed", "warn"]
      : !count ? ["typed; recordings make it surer", "muted"]
      : count < WANTED ? [`${recordings}; ${WANTED} are better`, "muted"]
      : [recordings, "good"];
    this.verdict.textContent = text;
    this.verdict.className = `verdict ${kind}`;
    this.notes.replaceChildren(...problems.map((line) => element("li", {}, line)));
  }

  tell(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }

  async addFiles(files) {
    const problems = [];
    this.tell("");
    for (const file of files) {
      this.says.textContent = `Looking at ${file.name}…`;
      const problem = await this.send(file, file.name);
      if (problem) problems.push(problem);
    }
    this.says.textContent = "";
    this.tell(problems.join(" "));
  }

  // Resolves to what went wrong, in words, or nothing.
  async send(body, name) {
    try {
      this.keywords.changed(await change("POST", "recording", { keyword: this.name, name }, body));
      return "";
    } catch (error) {
      return `${error.message}${/[.!?]$/.test(error.message) ? "" : "."}`;
    }
  }

  async record() {
    if (this.recorder) {
      this.recorder.finish();
      return;
    }
    stop();
    Recorder.current?.cancel();
    this.tell("");
    this.recorder = new Recorder(this.canvas);
    this.adder.classList.add("recording");
    this.label("stop", "Stop", `Stop recording ${this.name}`);
    this.says.textContent = `Say “${this.name}”`;
    let samples = null;
    try {
      samples = await this.recorder.run();
    } catch (error) {
      this.tell(error.message);
    }
    this.recorder = null;
    this.adder.classList.remove("recording");
    this.label("microphone", "Record", `Record ${this.name}`);
    this.says.textContent = "";
    if (samples) this.tell(await this.send(wav(samples.samples, samples.rate), "the recording"));
  }

  label(picture, text, name) {
    this.recordButton.replaceChildren(icon(picture), element("span", {}, text));
    this.recordButton.setAttribute("aria-label", name);
  }

  async remove() {
    if (!this.draft && !(await confirmed(`Remove “${this.name}” and its recordings?`))) return;
    this.recorder?.cancel();
    try {
      if (!this.draft) this.keywords.changed(await change("DELETE", "keyword", { keyword: this.name }));
      this.keywords.drop(this);
      document.getElementById("name").focus();
      document.dispatchEvent(new Event("drafts"));
    } catch (error) {
      this.tell(error.message);
    }
  }

  forget() {
    this.recorder?.cancel();
    this.node.remove();
  }
}

class Shot {
  constructor(card, recording) {
    this.card = card;
    this.recording = recording;
    this.sound = null;
    this.agreement = null;
    this.canvas = element("canvas", { className: "wave", "aria-hidden": "true", onclick: () => this.toggle(true) });
    this.facts = element("p", { className: "facts" });
    this.notes = element("ul", { className: "notes" });
    this.playButton = iconButton("play", "Play", () => this.toggle(true));
    this.wholeButton = iconButton("whole", "Play all of it", () => this.toggle(false));
    this.removeButton = iconButton("remove", "Remove", () => this.remove());
    const buttons = element("div", { className: "buttons" }, this.playButton, this.wholeButton);
    const caption = element("figcaption", {}, this.facts, buttons);
    this.node = element("figure", { className: "shot" }, this.canvas, caption, this.notes, this.removeButton);
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    whenSeen(this.node, () => this.load());
  }

  get warned() {
    return this.notes.children.length > 0;
  }

  update(found, number, several) {
    this.found = found;
    this.agreement = found.agreement;
    const alike = several && found.agreement !== null ? ` · ${similarity(found.agreement)}` : "";
    this.facts.textContent = `${seconds(found.end_s - found.start_s)}${alike}`;
    this.facts.title = `${found.recording}${found.take ? ` (${found.take})` : ""}: speech of ${seconds(found.end_s - found.start_s)}, ${found.level_db.toFixed(0)} dB of full scale${several && alike ? `, similarity ${similarity(found.agreement)} to the other recordings` : ""}`;
    const missing = found.here ? [] : ["not on this machine"];
    this.notes.replaceChildren(...[...found.warnings, ...missing].map((line) => element("li", {}, line)));
    this.node.classList.toggle("warned", this.warned);
    const name = `recording ${number} of ${this.card.name}`;
    for (const [button, text] of [[this.playButton, "Play"], [this.wholeButton, "Play all of"], [this.removeButton, "Remove"]]) {
      button.setAttribute("aria-label", `${text} ${name}`);
    }
    this.playButton.disabled = this.wholeButton.disabled = !found.here;
    this.draw();
  }

  async load() {
    if (!this.found.here) return;
    try {
      this.sound = await decoded(await bytes("recording", { keyword: this.card.name, recording: this.recording }));
      this.draw();
    } catch (error) {
      this.card.tell(error.message);
    }
  }

  draw(head_s = null) {
    if (this.sound) drawWave(this.canvas, this.sound, { start_s: this.found.start_s, end_s: this.found.end_s, head_s });
  }

  toggle(kept) {
    if (!this.sound) return;
    const [from, to] = kept ? [this.found.start_s, this.found.end_s] : [0, this.sound.samples.length / this.sound.rate];
    play(this.sound, from, to, (at) => this.draw(at));
  }

  async remove() {
    const shots = [...this.card.shots.values()];
    const same = shots.filter(({ recording }) => recording === this.recording).length;
    const last = same === shots.length && this.card.saved === "";
    const what = same > 1 ? `all ${same} of this file` : "this recording";
    const question = last ? `There is no other recording of “${this.card.name}”. Remove the keyword?` : `Remove ${what}?`;
    if (!(await confirmed(question))) return;
    try {
      const state = last
        ? await change("DELETE", "keyword", { keyword: this.card.name })
        : await change("DELETE", "recording", { keyword: this.card.name, recording: this.recording });
      this.card.recordButton.focus();
      this.card.keywords.changed(state);
    } catch (error) {
      this.card.tell(error.message);
    }
  }
}

// One recording from the microphone: ends by itself when it was quiet after the keyword, or is stopped.
class Recorder {
  static current = null;

  constructor(canvas) {
    this.canvas = canvas;
    this.pieces = [];
    this.floor_db = 0;
    this.loudest_db = -100;
    this.heard = false;
    this.quiet_s = this.total_s = 0;
    this.hearer = { hear: (samples) => this.hear(samples), gone: (message) => this.settle(null, new Error(message)) };
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    Recorder.current = this;
  }

  // Resolves to { samples, rate }, or null where it was cancelled.
  async run() {
    document.addEventListener("keydown", this.escape);
    try {
      this.rate = await listen(this.hearer);
    } catch (error) {
      this.settle(null, error);
    }
    return this.done;
  }

  escape = (event) => {
    if (event.key === "Escape") this.cancel();
  };

  hear(samples) {
    if (!this.rate) return;
    this.pieces.push(samples);
    const db = level_db(samples);
    const lasts_s = samples.length / this.rate;
    this.total_s += lasts_s;
    this.floor_db = Math.min(this.floor_db, db);
    this.loudest_db = Math.max(this.loudest_db, db);
    const limit_db = Math.max(LOWEST_DB, this.floor_db + ABOVE_FLOOR_DB, this.loudest_db - 30);
    this.heard ||= db > limit_db && this.total_s > 0.15;
    this.quiet_s = this.heard && db < limit_db ? this.quiet_s + lasts_s : 0;
    drawWave(this.canvas, this.joined());
    if (this.quiet_s >= QUIET_S || this.total_s >= LONGEST_S) this.finish();
  }

  joined() {
    const samples = new Float32Array(this.pieces.reduce((sum, piece) => sum + piece.length, 0));
    let place = 0;
    for (const piece of this.pieces) {
      samples.set(piece, place);
      place += piece.length;
    }
    return { samples, rate: this.rate };
  }

  finish() {
    this.settle(this.pieces.length ? this.joined() : null);
  }

  cancel() {
    this.settle(null);
  }

  settle(result, error = null) {
    document.removeEventListener("keydown", this.escape);
    leave(this.hearer);
    if (Recorder.current === this) Recorder.current = null;
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (error) this.reject(error);
    else this.resolve(result);
  }
}
