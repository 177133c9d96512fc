// The page: header, market, connection, order ticket, feed.
import { useState } from 'react';
import { usePresence } from 'wse-client';
import { ConnectionCard } from './ConnectionCard';
import { Feed } from './Feed';
import { Here } from './Here';
import { LinkBadge } from './LinkBadge';
import { useLive, useRoundTrip } from './live';
import { MarketCard } from './MarketCard';
import { OrderTicket } from './OrderTicket';
import { ownName, visitorOf } from './visitor';

export function App() {
  const { wse, link, log, feed, reconnects, lostAt } = useLive();
  const rtt = useRoundTrip(wse.client);
  const [selected, setSelected] = useState('BTC');
  const here = usePresence('desk', { data: { name: ownName, symbol: selected } });
  const members = here.members.map(({ data, ...member }) => ({ ...member, data: visitorOf(data) }));
  return (
    <div className="page">
      <header className="top">
        <svg className="logo" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="9" />
          <path d="M5 17h5l3-8 5 15 4-10 2 3h3" />
        </svg>
        <div className="title">
          <h1>Live desk</h1>
          <p>Simulated market, one WebSocket</p>
        </div>
        <Here members={members} count={here.count} own={here.id} />
        <LinkBadge link={link} rtt={rtt} lostAt={lostAt} />
      </header>
      <main className="grid">
        <MarketCard link={link} selected={selected} onSelect={setSelected} others={members.filter(({ id }) => id !== here.id)} error={wse.error} />
        <div className="side">
          <ConnectionCard link={link} wse={wse} rtt={rtt} log={log} reconnects={reconnects} />
          <OrderTicket link={link} symbol={selected} onSymbol={setSelected} sendMessage={wse.sendMessage} />
        </div>
        <Feed notifications={feed} />
      </main>
    </div>
  );
}
