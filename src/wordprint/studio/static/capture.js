// In the audio thread: what the microphone gives, in pieces of some 40 ms.

const PIECE = 2048; // samples

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(PIECE);
    this.filled = 0;
  }

  process([input]) {
    const samples = input[0];
    if (!samples) return true;
    for (let used = 0; used < samples.length; ) {
      const count = Math.min(samples.length - used, PIECE - this.filled);
      this.piece.set(samples.subarray(used, used + count), this.filled);
      used += count;
      this.filled += count;
      if (this.filled === PIECE) {
        this.port.postMessage(this.piece, [this.piece.buffer]);
        this.piece = new Float32Array(PIECE);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
