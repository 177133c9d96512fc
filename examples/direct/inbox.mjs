// Shows what is sent to a user; `node inbox.mjs <user> [url]`.
import { WebSocket } from 'ws';
import { createClient, webSocketTransport } from 'wse-client/core';

const client = createClient(
  { endpoints: process.argv[3] ?? 'ws://localhost:8000/wse', token: process.argv[2] },
  { transport: webSocketTransport(WebSocket) }, // Node 22 has a WebSocket: leave this out there
);

client.on('note', ({ text }, { seq }) => console.log('note', seq, text));
client.on('progress', ({ percent }) => console.log('progress', percent));
client.onNotice('direct', ({ to, status, reason }) => console.log('messages to the', to, status, reason ?? ''));
client.onNotice('error', ({ code, message }) => console.error(code, message));
client.connect();
client.sendMessage('export').then((done) => console.log('export', done));
