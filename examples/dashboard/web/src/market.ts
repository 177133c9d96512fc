// Prices as the page holds them: two minutes per instrument, outside React, read by the chart at its own pace.

/** A `price_update` event. */
export interface PriceUpdate {
  readonly symbol: string;
  readonly price: number;
  /** Percent in 24 hours. */
  readonly change: number;
  /** Server time in milliseconds. */
  readonly at: number;
}

/** A notification. */
export interface Notification {
  readonly kind: 'shipped' | 'paid' | 'delivered' | 'alert' | 'trade';
  readonly text: string;
  readonly order_id: number | null;
  /** Server time in milliseconds. */
  readonly at: number;
}

/** The reply to `history`. */
export interface History {
  readonly notifications: readonly Notification[];
  readonly step: number;
  readonly until: number;
  readonly instruments: readonly { readonly symbol: string; readonly name: string }[];
  readonly prices: Readonly<Record<string, readonly number[]>>;
}

/** One instrument: times in seconds, as the chart wants them, and prices. */
export interface Series {
  readonly symbol: string;
  readonly name: string;
  readonly times: number[];
  readonly prices: number[];
  change: number | null;
}

/** What the tiles show; a new object for every change. */
export interface Quote {
  readonly symbol: string;
  readonly name: string;
  readonly price: number;
  readonly change: number | null;
  /** About one price a second, for the sparkline. */
  readonly spark: readonly number[];
}

const KEPT_SECONDS = 130;
const SPARK_STEP = 4;

/** Every instrument's series. */
export class Market {
  #series = new Map<string, Series>();
  #quotes: readonly Quote[] = [];
  #listeners = new Set<() => void>();
  #frame = 0;
  #clock = { server: 0, local: 0 };

  /** Instruments in the server's order. */
  get series(): readonly Series[] {
    return [...this.#series.values()];
  }

  /** The server's time now, in seconds, as of the newest price. */
  now(): number {
    return (this.#clock.server + performance.now() - this.#clock.local) / 1000;
  }

  /** Replaces everything by what the server keeps; fills what was missed while the page was away. */
  load(history: History): void {
    const next = new Map<string, Series>();
    for (const { symbol, name } of history.instruments) {
      const prices = [...(history.prices[symbol] ?? [])];
      const times = prices.map((_, i) => (history.until - (prices.length - 1 - i) * history.step) / 1000);
      const own: Series = { symbol, name, times, prices, change: this.#series.get(symbol)?.change ?? null };
      // Live prices that came before this reply may be newer.
      const old = this.#series.get(symbol);
      old?.times.forEach((time, i) => {
        if (time * 1000 > history.until) append(own, time, old.prices[i] as number);
      });
      next.set(symbol, own);
    }
    this.#series = next;
    this.#tick(history.until);
    this.#notify();
  }

  /** A live price. */
  push(update: PriceUpdate): void {
    let own = this.#series.get(update.symbol);
    if (own === undefined) this.#series.set(update.symbol, (own = { symbol: update.symbol, name: '', times: [], prices: [], change: null }));
    append(own, update.at / 1000, update.price);
    own.change = update.change;
    this.#tick(update.at);
    this.#notify();
  }

  readonly quotes = (): readonly Quote[] => this.#quotes;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Keeps the newest server time. A reply that took long says less than the clock already knows. */
  #tick(at: number): void {
    if (at / 1000 > this.now() || Math.abs(at / 1000 - this.now()) > 1) this.#clock = { server: at, local: performance.now() };
  }

  /** All prices of one turn reach React as one change. */
  #notify(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#quotes = this.series.map(quote);
      for (const listener of this.#listeners) listener();
    });
  }
}

function append(series: Series, time: number, price: number): void {
  if (time <= (series.times.at(-1) ?? 0)) return;
  series.times.push(time);
  series.prices.push(price);
  const first = series.times.findIndex((t) => t >= time - KEPT_SECONDS);
  if (first > 40) {
    series.times.splice(0, first);
    series.prices.splice(0, first);
  }
}

function quote({ symbol, name, prices, times, change }: Series): Quote {
  const price = prices.at(-1) ?? 0;
  const last = times.at(-1) ?? 0;
  // Samples stand at whole steps of time, so that the sparkline moves on instead of trembling.
  const spark = prices.filter((_, i) => i === prices.length - 1 || Math.round((times[i] as number) * 4) % SPARK_STEP === 0);
  return { symbol, name, price, change, spark: last === 0 ? [] : spark.slice(-60) };
}
