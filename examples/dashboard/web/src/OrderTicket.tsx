// Sends an order to the server's handler and shows the reply with its round trip.
import { useState, useSyncExternalStore, type FormEvent } from 'react';
import { WSEError, type UseWSEResult } from 'wse-client';
import * as format from './format';
import { market, type Link } from './live';

/** The server's reply to `order`. */
interface Fill {
  readonly order_id: number;
  readonly symbol: string;
  readonly side: 'buy' | 'sell';
  readonly quantity: number;
  readonly price: number;
  readonly total: number;
}

type Outcome =
  | { readonly kind: 'none' }
  | { readonly kind: 'sending' }
  | { readonly kind: 'filled'; readonly fill: Fill; readonly ms: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

interface Props {
  readonly link: Link;
  readonly symbol: string;
  readonly onSymbol: (symbol: string) => void;
  readonly sendMessage: UseWSEResult['sendMessage'];
}

export function OrderTicket({ link, symbol, onSymbol, sendMessage }: Props) {
  const quotes = useSyncExternalStore(market.subscribe, market.quotes);
  const [side, setSide] = useState<Fill['side']>('buy');
  const [quantity, setQuantity] = useState('2');
  const [outcome, setOutcome] = useState<Outcome>({ kind: 'none' });
  const price = quotes.find((q) => q.symbol === symbol)?.price;
  const total = price === undefined ? NaN : price * Number(quantity);

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setOutcome({ kind: 'sending' });
    const began = performance.now();
    // The server judges the quantity: what it refuses comes back as an error with its sentence.
    // At this price now, or not at all.
    const order = { symbol, side, quantity: quantity.trim() === '' ? null : Number(quantity) };
    sendMessage<Fill>('order', order, { keep: false }).then(
      (fill) => setOutcome({ kind: 'filled', fill, ms: performance.now() - began }),
      (error: unknown) => setOutcome(failed(error)),
    );
  };

  return (
    <section className="card ticket" aria-label="Order">
      <div className="cardhead">
        <h2>Place an order</h2>
      </div>
      <form onSubmit={submit} noValidate>
        <div className="segments wide" role="group" aria-label="Side">
          {(['buy', 'sell'] as const).map((s) => (
            <button key={s} type="button" className={s} aria-pressed={side === s} onClick={() => setSide(s)}>
              {s === 'buy' ? 'Buy' : 'Sell'}
            </button>
          ))}
        </div>
        <div className="fields">
          <label>
            Instrument
            <select value={symbol} onChange={(e) => onSymbol(e.target.value)}>
              {(quotes.length > 0 ? quotes.map((q) => q.symbol) : [symbol]).map((s) => (
                <option key={s}>{s}</option>
              ))}
            </select>
          </label>
          <label>
            Quantity <small>up to 100</small>
            <input value={quantity} onChange={(e) => setQuantity(e.target.value)} inputMode="decimal" autoComplete="off" data-testid="quantity" />
          </label>
        </div>
        <button type="submit" className={`submit ${side}`} data-testid="submit" disabled={outcome.kind === 'sending'}>
          {side === 'buy' ? 'Buy' : 'Sell'} {symbol}
          <span>{Number.isFinite(total) && total > 0 ? `≈ ${format.price(total)}` : ''}</span>
        </button>
      </form>
      <Result outcome={outcome} link={link} />
    </section>
  );
}

function Result({ outcome, link }: { outcome: Outcome; link: Link }) {
  return (
    <div className={`result ${outcome.kind}`} role="status" data-testid="result" data-kind={outcome.kind}>
      {outcome.kind === 'none' && <p>The reply of the Python handler appears here.</p>}
      {outcome.kind === 'sending' && <p>{link === 'live' ? 'Sending…' : 'Waiting for the connection…'}</p>}
      {outcome.kind === 'filled' && (
        <>
          <p>
            <b>Order #{outcome.fill.order_id} filled</b>
            <span className="ms" data-testid="order-ms">
              {format.milliseconds(outcome.ms)}
            </span>
          </p>
          <p>
            {outcome.fill.side === 'buy' ? 'Bought' : 'Sold'} {outcome.fill.quantity} {outcome.fill.symbol} at {format.price(outcome.fill.price)}
          </p>
          <p className="quiet">Total {format.price(outcome.fill.total)}</p>
        </>
      )}
      {outcome.kind === 'failed' && (
        <>
          <p>
            <b>Not filled</b>
            <span className="ms">{outcome.code}</span>
          </p>
          <p>{outcome.message}</p>
        </>
      )}
    </div>
  );
}

function failed(error: unknown): Outcome {
  if (error instanceof WSEError) return { kind: 'failed', code: error.code, message: error.message };
  return { kind: 'failed', code: 'ERROR', message: String(error) };
}
