// The same in React: each component shows what passes its own filter, over one socket and one subscription of the topic.
import { useTopic, useWSE } from 'wse-client';

interface Price {
  readonly symbol: string;
  readonly price: number;
}

function Row({ symbol }: { readonly symbol: string }) {
  const { data, status, error } = useTopic<Price>('prices', { filter: { symbol } });
  if (status === 'refused') return <li>{error?.message}</li>;
  return <li>{symbol}: {data?.price ?? 'no price yet'}</li>;
}

function LastOrder() {
  const { data, topic } = useTopic<{ total: number }>('orders:*', { filter: { total: { $gt: 50 } } });
  return <p>{data === undefined ? 'no large order yet' : `${topic}: ${data.total}`}</p>;
}

export function Prices() {
  useWSE({ endpoints: ['ws://localhost:8000/wse'] });
  return (
    <>
      <ul>
        <Row symbol="AAPL" />
        <Row symbol="MSFT" />
      </ul>
      <LastOrder />
    </>
  );
}
