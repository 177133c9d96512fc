// Takes a reading twice a second and sends it, whether the server is there or not; `node meter.mjs <name> [url]`.
import { WebSocket } from 'ws';
import { createClient, webSocketTransport } from 'wse-client/core';
import { FileOutbox } from './file-outbox.mjs';

const [, , name, url = 'ws://localhost:8000/wse'] = process.argv;
const client = createClient(
  { endpoints: url, token: name },
  { transport: webSocketTransport(WebSocket), outbox: new FileOutbox(`${name}.json`) }, // Node 22 has a WebSocket: leave the first out there
);

client.outbox.onChange((message) => {
  if (message === null || message.status === 'sent') return;
  const { queued, sent } = client.outbox.counts;
  console.log(message.status, message.payload.at, `(${queued + sent} wait)`, message.error?.message ?? '');
});
client.connect();
setInterval(() => {
  // What becomes of it is told above, also where another process sends it.
  client.sendMessage('reading', { at: new Date().toISOString(), watts: Math.round(Math.random() * 1_000) }).catch(() => undefined);
}, 500);
