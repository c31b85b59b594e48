// Puts the page together: one state, from the server, shown by the plot, the cards and the list.

import { call, change, get } from "./api.js";
import { Detections } from "./detections.js";
import { element } from "./dom.js";
import { Keywords } from "./keywords.js";
import { Live } from "./live.js";
import { Plot } from "./plot.js";

const COLOURS = 8; // in studio.css
const LOWEST_DB = -60;

const byId = (id) => document.getElementById(id);
const colours = new Map(); // keyword → number of its colour

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

const colourOf = (keyword) => (colours.has(keyword) ? `var(--series-${colours.get(keyword)})` : null);

// Each keyword keeps its colour as long as it is there; a new one takes the first that is free.
function colour(keywords) {
  const names = new Set(keywords.map(({ keyword }) => keyword));
  for (const name of colours.keys()) if (!names.has(name)) colours.delete(name);
  keywords.forEach(({ keyword }, index) => {
    if (colours.has(keyword)) return;
    const taken = new Set(colours.values());
    const free = Array.from({ length: COLOURS }, (_, i) => i).find((each) => !taken.has(each));
    colours.set(keyword, free ?? index % COLOURS);
  });
  return keywords.map((keyword) => ({ ...keyword, colour: colourOf(keyword.keyword) }));
}

const plot = new Plot(byId("plot"), async (keyword, threshold) => {
  try {
    show(await change("PUT", "threshold", { keyword, threshold }));
    return true;
  } catch (error) {
    notice(error.message);
    return false;
  }
});
const detections = new Detections(byId("detections"), colourOf, show);
const keywords = new Keywords(byId("cards"), show, (keyword) => {
  if (!live.missed(keyword)) keywords.missDone(keyword, "Nothing is being listened to. Press Listen, and say it again.");
});
let listening = false;

function show(state) {
  notice("");
  const known = colour(state.keywords);
  byId("file").textContent = state.file;
  byId("file").title = "Saved at each change";
  byId("download").disabled = !known.length;
  byId("about").textContent = `wordprint ${state.version}, model ${state.model}. Nothing leaves this machine: audio goes to wordprint on it alone. Recordings are kept in ${state.folder}, what was heard only until wordprint ends.`;
  plot.update(known);
  keywords.update(known);
  detections.mark(state.detections);
  detections.colour();
  settle();
}

// What depends on several things at once.
function settle() {
  byId("first").hidden = !keywords.empty;
  byId("silent").hidden = detections.count > 0;
  byId("heard-count").textContent = detections.count ? `${detections.count}` : "";
  const hint = !colours.size ? "Make a keyword, then listen: how similar each moment is to it is drawn here."
    : listening ? "" : "Press Listen and speak.";
  byId("hint").textContent = hint;
}

const live = new Live({
  begun() {
    plot.begin();
    refresh();
  },
  event(event) {
    if (event.type === "looks") plot.looks(event);
    if (event.type === "missed") missed(event);
    if (event.type !== "detection") return;
    plot.detection(event);
    detections.add(event);
    byId("announced").textContent = `Heard ${event.keyword}, ${event.similarity.toFixed(2)}`;
    settle();
  },
  level(db) {
    byId("level").style.setProperty("--level", `${Math.max(0, 100 - (100 * db) / LOWEST_DB)}%`);
  },
  status(text, kind = "muted") {
    const node = byId("status");
    if (node.textContent !== text) node.textContent = text;
    node.className = kind;
  },
  ended() {
    listening = false;
    keywords.missDone();
    plot.end();
    byId("level").style.setProperty("--level", "0%");
    toggled();
  },
});

async function missed({ keyword, error }) {
  keywords.missDone(keyword, error);
  if (error) return;
  byId("announced").textContent = `${keyword} was learnt from what was just heard`;
  try {
    show(await get("state"));
  } catch (problem) {
    notice(problem.message);
  }
}

function toggled() {
  const button = byId("listen");
  button.textContent = listening ? "Stop listening" : "Listen";
  button.setAttribute("aria-pressed", String(listening));
  document.body.classList.toggle("listening", listening);
  settle();
}

byId("listen").onclick = () => {
  listening = !listening;
  toggled();
  if (listening) live.start();
  else live.stop();
};

byId("new").onsubmit = (event) => {
  event.preventDefault();
  keywords.draft(byId("name").value);
  byId("name").value = "";
  settle();
};

byId("download").onclick = async () => {
  try {
    const answer = await call("GET", "enrollment");
    const name = /filename="([^"]*)"/.exec(answer.headers.get("Content-Disposition"))[1];
    const href = URL.createObjectURL(await answer.blob());
    element("a", { href, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
  } catch (error) {
    notice(error.message);
  }
};

document.addEventListener("drafts", settle);
// a file that misses its keyword must not replace the page
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const name = byId("name").value.trim();
  if (!event.dataTransfer.files.length) return;
  if (!name) {
    notice("Drop recordings on the keyword that they hold, or name a new one first.");
    byId("name").focus();
    return;
  }
  byId("name").value = "";
  keywords.draft(name).addFiles([...event.dataTransfer.files]);
  settle();
});

async function refresh() {
  try {
    const state = await get("state");
    detections.fill(state.detections);
    show(state);
  } catch (error) {
    notice(error.message);
  }
}

refresh();
