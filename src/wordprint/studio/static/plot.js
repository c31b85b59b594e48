// The moving plot: the similarity of each keyword over time, its threshold as a handle to drag, detections as marks.

import { element } from "./dom.js";

const SPAN_S = 15;
const STEP = 0.01;
const PAGE = 0.05;
const TOP = 34; // room for the names of what was detected
const BOTTOM = 24;
const LEFT = 34;
const HANDLE = 30; // px from one handle to the next
const SETTLED_MS = 350; // after the last key, before a threshold is sent
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const narrow = matchMedia("(max-width: 640px)");

const within = (value, low = 0) => Math.min(1, Math.max(low, value));

export class Plot {
  // `setThreshold(keyword, value)` saves it, and resolves to whether it could.
  constructor(root, setThreshold) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.list = root.querySelector("#thresholds");
    this.setThreshold = setThreshold;
    this.handles = new Map(); // keyword → { node, value, saved, colour, timer }
    this.lines = new Map(); // keyword → [time_s, similarity or null][]
    this.marks = [];
    this.now_s = 0;
    this.offset = null; // of this page’s clock to the stream’s, in seconds
    this.moving = false;
    new ResizeObserver(() => this.draw()).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.tint();
      this.draw();
    });
  }

  // Colours of the theme, as a canvas wants them.
  tint() {
    for (const handle of this.handles.values()) handle.colour = getComputedStyle(handle.node).getPropertyValue("--own").trim();
  }

  begin() {
    this.lines.clear();
    this.marks = [];
    this.offset = null;
    this.now_s = 0;
    this.moving = true;
    cancelAnimationFrame(this.frame);
    if (!calm.matches) this.frame = requestAnimationFrame(() => this.move());
  }

  end() {
    this.moving = false;
    cancelAnimationFrame(this.frame);
    this.draw();
  }

  move() {
    if (!this.moving) return;
    this.draw();
    this.frame = requestAnimationFrame(() => this.move());
  }

  looks({ keywords, looks }) {
    const newest = looks.at(-1)[0];
    const offset = performance.now() / 1000 - newest;
    this.offset = this.offset === null || Math.abs(offset - this.offset) > 1 ? offset : this.offset + 0.1 * (offset - this.offset);
    this.now_s = newest;
    for (const [time_s, similarities] of looks) {
      keywords.forEach((keyword, i) => {
        if (!this.lines.has(keyword)) this.lines.set(keyword, []);
        this.lines.get(keyword).push([time_s, similarities[i]]);
      });
    }
    const oldest = newest - SPAN_S - 2;
    for (const line of this.lines.values()) while (line.length && line[0][0] < oldest) line.shift();
    this.marks = this.marks.filter(({ time_s }) => time_s > oldest);
    if (calm.matches) this.draw();
  }

  detection(found) {
    this.marks.push(found);
  }

  // The keywords that there are, with thresholds and colours.
  update(keywords) {
    const names = new Set(keywords.map(({ keyword }) => keyword));
    for (const [keyword, handle] of this.handles) {
      if (names.has(keyword)) continue;
      clearTimeout(handle.timer);
      handle.node.remove();
      this.handles.delete(keyword);
      this.lines.delete(keyword);
    }
    for (const { keyword, threshold, colour } of keywords) {
      if (!this.handles.has(keyword)) this.add(keyword);
      const handle = this.handles.get(keyword);
      handle.node.style.setProperty("--own", colour);
      handle.saved = threshold;
      if (!handle.timer && !handle.dragged) this.show(handle, threshold);
      this.list.append(...(handle.node.parentNode ? [] : [handle.node]));
    }
    this.tint();
    this.root.style.setProperty("--tall", `${Math.max(narrow.matches ? 240 : 300, TOP + BOTTOM + HANDLE * keywords.length)}px`);
    this.draw();
  }

  add(keyword) {
    const text = element("output");
    const node = element("div", { className: "handle", tabIndex: 0 }, element("i"), element("span", {}, keyword), text);
    const settings = { role: "slider", "aria-label": `Threshold of ${keyword}`, "aria-orientation": "vertical", "aria-valuemin": -1, "aria-valuemax": 1 };
    for (const [name, value] of Object.entries(settings)) node.setAttribute(name, value);
    const handle = { keyword, node, text, value: 0, saved: 0, timer: 0, dragged: false };
    this.handles.set(keyword, handle);
    node.onkeydown = (event) => this.key(event, handle);
    node.onpointerdown = (event) => this.grab(event, handle);
    node.onfocus = node.onblur = () => this.draw();
  }

  show(handle, value) {
    handle.value = value;
    handle.text.textContent = value.toFixed(2);
    handle.node.setAttribute("aria-valuenow", value.toFixed(2));
    handle.node.setAttribute("aria-valuetext", `${value.toFixed(2)}: similarity from which it is heard`);
  }

  key(event, handle) {
    const steps = { ArrowUp: STEP, ArrowRight: STEP, ArrowDown: -STEP, ArrowLeft: -STEP, PageUp: PAGE, PageDown: -PAGE, Home: -2, End: 2 };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.show(handle, within(Math.round((handle.value + steps[event.key]) * 100) / 100, -1));
    this.draw();
    clearTimeout(handle.timer);
    handle.timer = setTimeout(() => this.save(handle), SETTLED_MS);
  }

  grab(event, handle) {
    if (event.button) return;
    event.preventDefault();
    const { node } = handle;
    node.focus();
    node.setPointerCapture(event.pointerId);
    handle.dragged = true;
    const begun = { y: event.clientY, value: handle.value };
    node.onpointermove = ({ clientY }) => {
      const value = begun.value - (clientY - begun.y) / (this.height - TOP - BOTTOM);
      this.show(handle, within(Math.round(value * 100) / 100, -1)); // below 0 the handle stays at the bottom
      this.draw();
    };
    const release = () => {
      node.onpointermove = node.onpointerup = node.onpointercancel = null;
      handle.dragged = false;
      if (handle.value !== handle.saved) this.save(handle);
    };
    node.onpointerup = node.onpointercancel = release;
  }

  async save(handle) {
    handle.timer = 0;
    const wanted = handle.value;
    if (!(await this.setThreshold(handle.keyword, wanted)) && handle.value === wanted) this.show(handle, handle.saved);
    this.draw();
  }

  // drawing

  y(similarity) {
    return TOP + (1 - within(similarity)) * (this.height - TOP - BOTTOM);
  }

  draw() {
    const { canvas, root } = this;
    const scale = devicePixelRatio || 1;
    this.height = root.clientHeight;
    this.width = root.clientWidth;
    this.right = this.width - (this.handles.size ? (narrow.matches ? 78 : 176) : 16);
    if (!this.width) return;
    if (canvas.width !== Math.round(this.width * scale) || canvas.height !== Math.round(this.height * scale)) {
      canvas.width = Math.round(this.width * scale);
      canvas.height = Math.round(this.height * scale);
    }
    const ink = canvas.getContext("2d");
    ink.setTransform(scale, 0, 0, scale, 0, 0);
    ink.clearRect(0, 0, this.width, this.height);
    const style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue(name);
    const clock_s = performance.now() / 1000 - (this.offset ?? 0);
    const smooth = this.moving && this.offset !== null && !calm.matches;
    if (smooth) this.shown_s = Math.min(this.now_s + 0.3, clock_s);
    else this.shown_s = this.now_s;
    const x = (time_s) => this.right - ((this.shown_s - time_s) / SPAN_S) * (this.right - LEFT);
    this.drawGrid(ink, colour, x);
    this.placeHandles(ink);
    ink.save();
    ink.beginPath();
    ink.rect(LEFT, 0, this.right - LEFT, this.height);
    ink.clip();
    for (const handle of this.handles.values()) this.drawLine(ink, handle, x);
    this.drawMarks(ink, x, colour);
    ink.restore();
  }

  drawGrid(ink, colour, x) {
    ink.font = `11.5px ${getComputedStyle(this.root).fontFamily}`;
    ink.lineWidth = 1;
    ink.strokeStyle = colour("--grid");
    ink.fillStyle = colour("--muted");
    ink.textAlign = "right";
    ink.textBaseline = "middle";
    for (const value of [0, 0.25, 0.5, 0.75, 1]) {
      const y = Math.round(this.y(value)) + 0.5;
      ink.beginPath();
      ink.moveTo(LEFT, y);
      ink.lineTo(this.right, y);
      ink.stroke();
      if (value * 2 === Math.round(value * 2)) ink.fillText(value.toFixed(1), LEFT - 8, y);
    }
    ink.beginPath();
    for (let time_s = Math.ceil((this.shown_s - SPAN_S) / 5) * 5; time_s <= this.shown_s && this.offset !== null; time_s += 5) {
      ink.moveTo(x(time_s), this.y(1));
      ink.lineTo(x(time_s), this.y(0));
    }
    ink.stroke();
    ink.textBaseline = "alphabetic";
    const foot = this.height - 7;
    ink.textAlign = "left";
    ink.fillText(`${SPAN_S} s ago`, LEFT, foot);
    ink.textAlign = "right";
    ink.fillText("now", this.right, foot);
  }

  drawLine(ink, { keyword, value, colour, node }, x) {
    const limit = this.y(value);
    ink.strokeStyle = ink.fillStyle = colour;
    ink.globalAlpha = node.matches(":focus-visible, :hover, :active") ? 1 : 0.65;
    ink.lineWidth = 1.25;
    ink.setLineDash([5, 5]);
    ink.beginPath();
    ink.moveTo(LEFT, limit);
    ink.lineTo(this.right, limit);
    ink.stroke();
    ink.setLineDash([]);
    const path = new Path2D();
    const below = new Path2D();
    let last = null;
    for (const [time_s, similarity] of this.lines.get(keyword) ?? []) {
      if (similarity === null) {
        if (last !== null) below.lineTo(last, this.height);
        last = null;
        continue;
      }
      const place = x(time_s);
      if (last === null) {
        path.moveTo(place, this.y(similarity));
        below.moveTo(place, this.height);
      } else path.lineTo(place, this.y(similarity));
      below.lineTo(place, this.y(similarity));
      last = place;
    }
    if (last !== null) below.lineTo(last, this.height);
    ink.save();
    ink.beginPath();
    ink.rect(LEFT, 0, this.right - LEFT, limit); // what reaches above the threshold is filled
    ink.clip();
    ink.globalAlpha = 0.35;
    ink.fill(below);
    ink.restore();
    ink.globalAlpha = 1;
    ink.lineWidth = 2;
    ink.lineJoin = "round";
    ink.stroke(path);
  }

  // Each detection at its best look: a dot on the line, and its name above, lower where it would cover the one before.
  drawMarks(ink, x, colour) {
    const ends = [-Infinity, -Infinity];
    ink.font = `600 12px ${getComputedStyle(this.root).fontFamily}`;
    ink.textAlign = "left";
    ink.textBaseline = "middle";
    for (const { keyword, time_s, similarity } of this.marks) {
      const handle = this.handles.get(keyword);
      if (!handle) continue;
      const best = this.lines.get(keyword)?.findLast(([at_s, value]) => at_s <= time_s && value >= similarity - 2e-4);
      const middle = x(best ? best[0] : time_s);
      const y = this.y(similarity);
      const text = narrow.matches ? similarity.toFixed(2) : `${keyword} ${similarity.toFixed(2)}`;
      const wide = ink.measureText(text).width + 14;
      const left = Math.min(middle - wide / 2, this.right - wide - 2);
      const row = left > ends[0] + 3 || left <= ends[1] + 3 ? 0 : 1;
      ends[row] = left + wide;
      const top = 4 + 23 * row;
      ink.fillStyle = ink.strokeStyle = handle.colour;
      ink.lineWidth = 1.25;
      ink.beginPath();
      ink.moveTo(middle, top + 20);
      ink.lineTo(middle, y);
      ink.stroke();
      ink.beginPath();
      ink.arc(middle, y, 4.5, 0, 7);
      ink.fill();
      ink.beginPath();
      ink.roundRect(left, top, wide, 20, 10);
      ink.fill();
      ink.fillStyle = colour("--on-own");
      ink.fillText(text, left + 7, top + 10.5);
    }
  }

  // Handles stand at their thresholds, pushed apart where they would cover each other, each with a line to its own.
  placeHandles(ink) {
    const sorted = [...this.handles.values()].sort((a, b) => b.value - a.value);
    const places = sorted.map(({ value }) => this.y(value));
    for (let i = 1; i < places.length; i += 1) places[i] = Math.max(places[i], places[i - 1] + HANDLE);
    const most = this.height - HANDLE / 2;
    for (let i = places.length - 1; i >= 0; i -= 1) {
      places[i] = Math.min(places[i], most - (places.length - 1 - i) * HANDLE);
    }
    sorted.forEach(({ node, value, colour }, i) => {
      node.style.transform = `translate(${this.right + 18}px, ${places[i] - HANDLE / 2 + 1}px)`;
      ink.strokeStyle = colour;
      ink.lineWidth = 1.25;
      ink.beginPath();
      ink.moveTo(this.right, this.y(value));
      ink.bezierCurveTo(this.right + 9, this.y(value), this.right + 9, places[i], this.right + 18, places[i]);
      ink.stroke();
    });
  }
}
