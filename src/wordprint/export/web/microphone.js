// Hands on what the microphone hears, in pieces of 128 samples.
class Microphone extends AudioWorkletProcessor {
  process([input]) {
    if (input.length) this.port.postMessage(input[0].slice());
    return true;
  }
}
registerProcessor("microphone", Microphone);
