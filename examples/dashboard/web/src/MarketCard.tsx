// Prices: the chosen instrument large, the chart, and a tile for each instrument.
import { useState, useSyncExternalStore, type CSSProperties } from 'react';
import type { Member, WSEError } from 'wse-client';
import * as format from './format';
import { market, type Link } from './live';
import type { Quote } from './market';
import { PriceChart } from './PriceChart';
import { colourOf, type Visitor } from './visitor';

/** Dots for others on a tile. */
const EYES = 4;

interface Props {
  readonly link: Link;
  readonly selected: string;
  readonly onSelect: (symbol: string) => void;
  /** Who else has the page open. */
  readonly others: readonly Member<Visitor>[];
  readonly error: WSEError | null;
}

export function MarketCard({ link, selected, onSelect, others, error }: Props) {
  const quotes = useSyncExternalStore(market.subscribe, market.quotes);
  const [compare, setCompare] = useState(false);
  const quote = quotes.find((q) => q.symbol === selected);
  return (
    <section className="card market" aria-label="Prices">
      <div className="headline">
        <div className="quote">
          <h2>
            {selected} <span>{quote?.name}</span>
          </h2>
          <p className="price" data-testid="price">
            {quote === undefined ? '–' : format.price(quote.price)}
          </p>
          <Change value={quote?.change ?? null} />
        </div>
        <div className="segments" role="group" aria-label="Chart">
          <button type="button" aria-pressed={!compare} onClick={() => setCompare(false)}>
            Price
          </button>
          <button type="button" aria-pressed={compare} onClick={() => setCompare(true)}>
            Compare
          </button>
        </div>
      </div>
      <div className={`chart ${link}`}>
        <PriceChart market={market} selected={selected} compare={compare} live={link === 'live'} />
        <Notice link={link} error={error} empty={quotes.length === 0} />
      </div>
      <ul className={compare ? 'tiles legend' : 'tiles'}>
        {quotes.map((q) => (
          <Tile key={q.symbol} quote={q} pressed={q.symbol === selected} onSelect={onSelect} eyes={others.filter(({ data }) => data.symbol === q.symbol)} />
        ))}
        {quotes.length === 0 && Array.from({ length: 5 }, (_, i) => <li key={i} className="tile ghost" />)}
      </ul>
    </section>
  );
}

/** What the chart says when it is not live; it lies over the chart, so that nothing moves. */
function Notice({ link, error, empty }: { link: Link; error: WSEError | null; empty: boolean }) {
  if (link === 'live') return null;
  return (
    <div className="notice" data-testid="notice">
      {link === 'refused' && <p>The server refused the connection: {error?.message ?? 'no reason given'}</p>}
      {link === 'reconnecting' && <p>The server is away. Prices go on by themselves when it is back.</p>}
      {link === 'connecting' && empty && <p>Connecting to the server…</p>}
    </div>
  );
}

function Change({ value }: { value: number | null }) {
  if (value === null) return <p className="change">&nbsp;</p>;
  return (
    <p className={`change ${value < 0 ? 'down' : 'up'}`}>
      {format.percent(value)} <span>24 h</span>
    </p>
  );
}

function Tile({ quote, pressed, onSelect, eyes }: { quote: Quote; pressed: boolean; onSelect: (symbol: string) => void; eyes: readonly Member<Visitor>[] }) {
  const { symbol, name, price, change, spark } = quote;
  return (
    <li>
      <button type="button" className="tile" aria-pressed={pressed} onClick={() => onSelect(symbol)} data-symbol={symbol}>
        <span className="symbol" style={{ '--line': `var(--line-${symbol})` } as CSSProperties}>
          {symbol}
          {eyes.slice(0, EYES).map(({ id, data }) => (
            <i key={id} style={colourOf(data)} title={`${data.name} looks at ${symbol}`} />
          ))}
        </span>
        <span className="name">{name}</span>
        <Sparkline values={spark} />
        <span className="last">{format.price(price)}</span>
        <span className={`percent ${(change ?? 0) < 0 ? 'down' : 'up'}`}>{change === null ? '' : format.percent(change)}</span>
      </button>
    </li>
  );
}

function Sparkline({ values }: { values: readonly number[] }) {
  if (values.length < 2) return <svg className="spark" aria-hidden="true" />;
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const points = values.map((v, i) => `${((i / (values.length - 1)) * 100).toFixed(1)},${(27 - ((v - low) / span) * 24).toFixed(1)}`);
  return (
    <svg className="spark" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
      <polyline points={points.join(' ')} />
    </svg>
  );
}
