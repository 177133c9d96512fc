// Shows the prices and orders that pass two filters; `node watch.mjs [url]`.
import { WebSocket } from 'ws';
import { createClient, webSocketTransport } from 'wse-client/core';

const client = createClient(
  {
    endpoints: process.argv[2] ?? 'ws://localhost:8000/wse',
    format: 'msgpack', // default 'json'
    compression: true, // the default: frames of 1 KiB or more, both ways
  },
  { transport: webSocketTransport(WebSocket) }, // Node 22 has a WebSocket: leave this out there
);

client.subscribe('prices', { filter: { symbol: { $in: ['AAPL', 'MSFT'] }, price: { $gte: 100 } } });
client.subscribe('orders:*', { filter: { $or: [{ total: { $gt: 50 } }, { 'customer.name': { $startswith: 'Ada' } }] } });

client.on('prices', ({ symbol, price }) => console.log('price', symbol, price));
client.on('order', (order, { topic }) => console.log('order', topic, JSON.stringify(order)));
client.onNotice('skip', ({ topic, from, to, reason }) => console.log('left out', topic, from, to, reason));
client.onNotice('resync', ({ topic, reason }) => console.log('load anew', topic, reason));
client.onNotice('error', ({ code, message }) => console.error(code, message));
client.onNotice('topics', () => console.log('topics', [...client.topics].map(([topic, { status }]) => `${topic} ${status}`).join(', ')));
client.connect();
