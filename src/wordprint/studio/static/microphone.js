// The microphone, opened once for all who hear it, and closed when nobody does any more.

import { context } from "./sound.js";

const WHY = {
  NotAllowedError: "The browser may not use the microphone. Allow it beside the address, then try again.",
  NotFoundError: "No microphone was found. Plug one in, then try again.",
  NotReadableError: "The microphone can’t be opened; another program may hold it.",
};
// What is heard should be what is enrolled, and both what other programs hear: nothing is made smoother or louder.
const PLAIN = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

const hearers = new Set(); // of { hear(samples), gone(message) }
let opening = null;
let close = () => {};

async function open() {
  if (!navigator.mediaDevices) throw new Error("The browser gives the microphone to pages at 127.0.0.1 or localhost only.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: PLAIN });
  } catch (error) {
    throw new Error(WHY[error.name] ?? `The microphone can’t be opened (${error.message}).`);
  }
  const audio = context();
  const source = new MediaStreamAudioSourceNode(audio, { mediaStream: stream });
  let node;
  close = () => {
    close = () => {};
    opening = null;
    stream.getTracks().forEach((track) => track.stop());
    source.disconnect();
    node?.port.close();
  };
  try {
    await audio.audioWorklet.addModule("capture.js");
  } catch {
    close();
    throw new Error("The studio doesn’t answer. Is ‘wordprint studio’ still running in its terminal?");
  }
  node = new AudioWorkletNode(audio, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  node.port.onmessage = ({ data }) => hearers.forEach(({ hear }) => hear(data));
  source.connect(node);
  stream.getTracks()[0].onended = () => {
    const lost = [...hearers];
    hearers.clear();
    close();
    lost.forEach(({ gone }) => gone("The microphone has gone. Is it still plugged in?"));
  };
  return audio.sampleRate;
}

// Resolves to the rate in Hz; raises an Error with words for people.
export async function listen(hearer) {
  hearers.add(hearer);
  try {
    opening ??= open();
    const rate = await opening;
    if (!hearers.size) close(); // who asked has left meanwhile
    return rate;
  } catch (error) {
    opening = null;
    hearers.delete(hearer);
    throw error;
  }
}

export function leave(hearer) {
  hearers.delete(hearer);
  if (!hearers.size) close();
}

export const level_db = (samples) => 10 * Math.log10(samples.reduce((sum, value) => sum + value * value, 0) / samples.length + 1e-10);
