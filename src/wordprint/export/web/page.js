// The page: a button, the level of each keyword, and what was heard. Nothing leaves the browser.
import { Spotter } from "./spotter.js";

const [button, status, words, list] = ["listen", "status", "words", "detections"].map((id) => document.getElementById(id));
const spotter = await Spotter.load();
window.wordprint = { spotter, spot: async (samples) => [...(await spotter.push(samples)), ...(await spotter.finish())] };

const meters = spotter.config.keywords.map((word) => {
  const row = words.appendChild(document.createElement("li"));
  row.append(Object.assign(document.createElement("span"), { textContent: word.keyword }));
  const meter = Object.assign(document.createElement("meter"), { min: Math.min(0, word.threshold - 0.25), max: 1, high: word.threshold, optimum: 1 });
  meter.setAttribute("aria-label", `how alike it is to ${word.keyword}; it fires at ${word.threshold.toFixed(2)}`);
  row.append(meter);
  return meter;
});
status.textContent = "Ready.";
button.disabled = false;

let stop = null;
button.addEventListener("click", async () => {
  if (stop) return stop();
  try {
    stop = await listen();
    button.textContent = "Stop";
    status.textContent = "Listening.";
  } catch (error) {
    status.textContent = `The microphone can't be used: ${error.message}`;
  }
});

async function listen() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false } });
  const context = new AudioContext({ sampleRate: spotter.config.sample_rate });
  await context.audioWorklet.addModule("./microphone.js");
  const node = new AudioWorkletNode(context, "microphone");
  context.createMediaStreamSource(stream).connect(node);
  spotter.reset();
  let work = Promise.resolve();
  node.port.onmessage = ({ data }) => { work = work.then(() => hear(data)); };
  return async () => {
    stop = null;
    node.port.onmessage = null;
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    await work;
    (await spotter.finish()).forEach(show);
    button.textContent = "Listen";
    status.textContent = "Stopped.";
  };
}

async function hear(samples) {
  (await spotter.push(samples)).forEach(show);
  spotter.similarities.forEach((similarity, word) => { meters[word].value = Math.max(meters[word].min, similarity); });
}

function show(detection) {
  const row = document.createElement("li");
  row.textContent = `${detection.onset_s.toFixed(1)} s  ${detection.keyword}  ${detection.similarity.toFixed(2)}`;
  list.prepend(row);
}
