/** A queue that runs only so many tasks at once; who no longer waits leaves it. */

interface Waiting {
  readonly start: () => void;
}

export class Queue {
  readonly #limit: number;
  readonly #waiting: Waiting[] = [];
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Run `task` when there is room: urgent ones first, else in order. Rejects with the signal's reason if aborted before. */
  async run<T>(task: () => Promise<T>, { signal, urgent }: { signal: AbortSignal; urgent: boolean }): Promise<T> {
    await this.#room(signal, urgent);
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      this.#running--;
      this.#waiting.shift()?.start();
    }
  }

  #room(signal: AbortSignal, urgent: boolean): Promise<void> {
    signal.throwIfAborted();
    if (this.#running < this.#limit) {
      this.#running++;
      return Promise.resolve();
    }
    return new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason);
      };
      const waiting: Waiting = {
        start: () => {
          signal.removeEventListener("abort", leave);
          this.#running++;
          resolve();
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      if (urgent) this.#waiting.unshift(waiting);
      else this.#waiting.push(waiting);
    });
  }
}
