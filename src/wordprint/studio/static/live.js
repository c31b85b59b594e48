// The live stream: the microphone’s samples to the server, what it hears back; told when the server goes, and tries again.

import { get, Refused, socket } from "./api.js";
import { leave, level_db, listen } from "./microphone.js";
import { int16, isPlaying } from "./sound.js";

const STALLED_BYTES = 400_000; // some 4 s: what comes while so much waits is dropped, and counted by the server
const AGAIN_MS = [500, 1000, 2000, 4000];
const FAINT_DB = -62;
const FAINT_S = 6;
const TOLD_MS = 5000; // that something was dropped

export class Live {
  // `on`: { begun(), event(event), level(db), status(text, kind), ended() }
  constructor(on) {
    this.on = on;
    this.running = false;
    this.run = 0; // tells one start from the next
    this.hearer = { hear: (samples) => this.hear(samples), gone: (message) => this.fail(message) };
  }

  async start() {
    this.running = true;
    const run = (this.run += 1);
    this.tries = 0;
    this.on.status("Opening the microphone…");
    try {
      this.rate = await listen(this.hearer);
    } catch (error) {
      if (this.run === run) this.fail(error.message);
      return;
    }
    if (this.running && this.run === run) this.connect();
  }

  connect() {
    const line = socket("live", { rate: this.rate });
    this.line = line;
    this.gap = 0;
    this.faint = 0;
    this.told_ms = 0;
    line.onopen = () => {
      this.tries = 0;
      this.on.begun();
      this.on.status("Listening");
    };
    line.onmessage = ({ data }) => this.line === line && this.receive(JSON.parse(data));
    line.onclose = () => {
      if (this.line !== line) return;
      this.line = null;
      if (this.running) this.again();
      else this.on.status("");
    };
  }

  receive(event) {
    if (event.type === "error") this.fail(event.error);
    else if (event.type === "dropped") {
      this.told_ms = performance.now();
      this.on.status(`${event.dropped_s.toFixed(1)} s were dropped so far: this machine is too slow for the moment`, "warn");
    } else this.on.event(event);
  }

  async again() {
    if (!this.running) return;
    const { run } = this;
    this.on.status("The studio doesn’t answer; trying again…", "bad");
    const wait_ms = AGAIN_MS[Math.min(this.tries, AGAIN_MS.length - 1)];
    this.tries += 1;
    await new Promise((resolve) => setTimeout(resolve, wait_ms));
    if (!this.running || this.run !== run) return;
    try {
      await get("state");
    } catch (error) {
      if (!this.running || this.run !== run) return;
      if (error instanceof Refused && error.gone) this.again();
      else this.fail(error.message);
      return;
    }
    if (this.running && this.run === run) this.connect();
  }

  hear(samples) {
    const db = level_db(samples);
    this.on.level(db);
    if (this.line?.readyState !== WebSocket.OPEN) return;
    this.faint = db < FAINT_DB ? this.faint + samples.length / this.rate : 0;
    if (this.faint > FAINT_S) this.on.status("The microphone gives almost nothing. Is it the right one, and not muted?", "warn");
    else if (performance.now() - this.told_ms > TOLD_MS) this.on.status("Listening");
    if (this.line.bufferedAmount > STALLED_BYTES) {
      this.gap += samples.length;
      return;
    }
    if (this.gap) this.line.send(JSON.stringify({ type: "gap", samples: this.gap }));
    this.gap = 0;
    // what the page itself plays is not to be heard as said
    this.line.send(isPlaying() ? new Int16Array(samples.length) : int16(samples));
  }

  // A keyword was said and not heard: whether that could be told; the answer is an event.
  missed(keyword) {
    if (this.line?.readyState !== WebSocket.OPEN) return false;
    this.line.send(JSON.stringify({ type: "missed", keyword }));
    return true;
  }

  stop() {
    this.running = false;
    leave(this.hearer);
    this.on.ended();
    this.on.status("");
    if (this.line?.readyState === WebSocket.OPEN) this.line.send('{"type":"end"}');
    else this.line?.close();
  }

  fail(message) {
    this.stop();
    this.line = null; // what it still says is of no interest
    this.on.status(message, "bad");
  }
}
