// How the connection does: health, round trip, traffic, position in the log, and what happened.
import { useEffect, useState } from 'react';
import type { UseWSEResult } from 'wse-client';
import * as format from './format';
import { useTraffic, type Happening, type Link } from './live';

interface Props {
  readonly link: Link;
  readonly wse: UseWSEResult;
  readonly rtt: number | null;
  readonly log: readonly Happening[];
  readonly reconnects: number;
}

export function ConnectionCard({ link, wse, rtt, log, reconnects }: Props) {
  const traffic = useTraffic('prices');
  const transport = useTransport(link);
  const rate = average(traffic.perSecond);
  return (
    <section className="card connection" aria-label="Connection">
      <div className="cardhead">
        <h2>Connection</h2>
        <span className={`health ${wse.connectionHealth}`} data-testid="health">
          {wse.connectionHealth}
        </span>
      </div>
      <div className="rate">
        <p>
          <b data-testid="rate">{rate.toFixed(0)}</b> messages/s
        </p>
        <Bars values={traffic.perSecond} />
      </div>
      <dl className="facts">
        <Fact name="Round trip" value={link === 'live' && rtt !== null ? format.milliseconds(rtt) : '–'} />
        <Fact name="Received" value={traffic.total.toLocaleString('en-US')} id="received" />
        <Fact name="Log position" value={traffic.seq?.toLocaleString('en-US') ?? '–'} id="seq" />
        <Fact name="Log epoch" value={traffic.epoch?.slice(0, 8) ?? '–'} id="epoch" />
        <Fact name="Transport" value={transport ?? '–'} id="transport" />
        <Fact name="Reconnects" value={String(reconnects)} id="reconnects" />
      </dl>
      <ol className="log" aria-label="Connection log">
        {log.map(({ id, at, text, tone }) => (
          <li key={id} className={tone}>
            <time>{format.clock(at)}</time> {text}
          </li>
        ))}
      </ol>
    </section>
  );
}

function Fact({ name, value, id }: { name: string; value: string; id?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-testid={id} title={value}>
        {value}
      </dd>
    </div>
  );
}

function Bars({ values }: { values: readonly number[] }) {
  const most = Math.max(20, ...values);
  return (
    <svg className="bars" viewBox={`0 0 ${values.length * 4} 32`} preserveAspectRatio="none" aria-hidden="true">
      {values.map((v, i) => {
        const height = Math.max(1.5, (v / most) * 32);
        return <rect key={i} x={i * 4} y={32 - height} width="2.6" height={height} rx="1" className={v === 0 ? 'none' : ''} />;
      })}
    </svg>
  );
}

/** Mean of the last three seconds: prices come in bursts of a quarter second. */
function average(perSecond: readonly number[]): number {
  const recent = perSecond.slice(-3);
  return recent.reduce((sum, n) => sum + n, 0) / recent.length;
}

/** What the server says about how it serves this page. */
function useTransport(link: Link): string | null {
  const [transport, setTransport] = useState<string | null>(null);
  useEffect(() => {
    if (link !== 'live') return undefined;
    const stop = new AbortController();
    fetch('/wse/health', { signal: stop.signal })
      .then((response) => response.json() as Promise<{ transport: string }>)
      .then((health) => setTransport(health.transport))
      .catch(() => undefined); // it stays unknown
    return () => stop.abort();
  }, [link]);
  return transport;
}
