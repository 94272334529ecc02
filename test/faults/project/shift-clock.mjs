// Loaded before the program: its wall clock is wrong from the start, and jumps once more while it works. Timers and the server's clock are not.
const [offset = 0, jump = 0, after = 0] = (process.env.REEMBED_TEST_CLOCK ?? '').split(',').map(Number);
const RealDate = Date;
const began = performance.now();
const shift = () => offset + (performance.now() - began > after ? jump : 0);

globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(RealDate.now() + shift());
    else super(...args);
  }
  static now() {
    return RealDate.now() + shift();
  }
};
