// What many seeds came to, counted as they end: what they saw is let go.

/** Counts results of seeds. */
export class Summary {
  #counts = new Map();
  #outcomes = new Map();
  /** Seeds that broke something. */
  failed = [];

  /** One seed is over. */
  add({ plan, breaches, seen = [], guests = [], kills = [], drains = [] }) {
    if (breaches.length > 0) this.failed.push(plan.seed);
    const kinds = { seeds: true, killed: plan.kills.length > 0, pages: plan.browser, redis: plan.bus === 'redis', drained: plan.drains.length > 0, asgi: plan.transport === 'asgi', outages: plan.outages.length > 0 };
    for (const [kind, is] of Object.entries(kinds)) this.#count(kind, is ? 1 : 0);
    for (const [kind, times] of Object.entries({ kills, drains })) this.#count(kind, times.length);
    for (const note of seen.flatMap(({ log }) => log)) this.#count(nameOf(note), 1);
    for (const note of guests.flatMap(({ log }) => log)) if (note.kind === 'told' || note.kind === 'stay') this.#count(nameOf(note), 1);
    for (const { outcome } of seen.flatMap(({ sends }) => sends)) this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }

  /** How many there were of a kind. */
  of(kind) {
    return this.#counts.get(kind) ?? 0;
  }

  /** All of it, for a reader. */
  lines() {
    const of = (kind) => this.of(kind);
    const outcomes = [...this.#outcomes].sort().map(([outcome, count]) => `${count} ${String(outcome).replace('failed: ', '')}`);
    return [
      `${of('seeds')} seeds: ${of('killed')} with kill -9, ${of('pages')} in Chromium, ${of('redis')} on Redis, ${of('drained')} with SIGTERM, ${of('asgi')} by ASGI, ${of('outages')} with Redis out of reach`,
      `${of('kills')} processes killed, ${of('drains')} told to end`,
      `${of('message')} messages received, ${of('topic recovered')} topics recovered, ${of('resync')} resyncs`,
      `${of('snapshot')} states, ${of('error SNAPSHOT_FAILED')} failed ones; skips: ${['latest', 'drop_low', 'ttl'].map((reason) => `${of(`skip ${reason}`)} by ${reason}`).join(', ')}`,
      `sends: ${outcomes.join(', ')}`,
      `rooms: ${of('stay enter')} entered, ${of('stay leave')} left, ${of('stay close')} closed; witnesses were told ${of('told change')} changes and ${of('told state')} states`,
    ];
  }

  #count(kind, by) {
    this.#counts.set(kind, this.of(kind) + by);
  }
}

function nameOf({ kind, status, reason, code, what }) {
  const detail = { topic: status, skip: reason, error: code, stay: what, told: what }[kind];
  return detail === undefined ? kind : `${kind} ${detail}`;
}
