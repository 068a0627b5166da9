/** A queue that runs only so many tasks at once; who no longer waits leaves it. */

/** What someone looks at, what is about to be looked at, and what only makes it better. */
export type Urgency = "now" | "soon" | "later";

interface Waiting {
  readonly rank: number;
  readonly start: () => void;
}

const RANKS: Readonly<Record<Urgency, number>> = { now: 0, soon: 1, later: 2 };

export class Queue {
  readonly #limit: number;
  readonly #waiting: Waiting[] = [];
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Run `task` when there is room, by urgency and then in order. Rejects with the signal's reason if aborted before. */
  async run<T>(task: () => Promise<T>, { signal, urgency }: { signal: AbortSignal; urgency: Urgency }): Promise<T> {
    await this.#room(signal, RANKS[urgency]);
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      this.#running--;
      this.#waiting.shift()?.start();
    }
  }

  #room(signal: AbortSignal, rank: number): Promise<void> {
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
        rank,
        start: () => {
          signal.removeEventListener("abort", leave);
          this.#running++;
          resolve();
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      const behind = this.#waiting.findIndex((other) => other.rank > rank);
      this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, waiting);
    });
  }
}
