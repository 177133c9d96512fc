// Node ws: a loop of send(), no compression.
'use strict';
const { WebSocketServer } = require('ws');
const { control, port, READY, wantsEcho } = require('./control.cjs');

const server = new WebSocketServer({ host: '127.0.0.1', port, backlog: 4096, perMessageDeflate: false });
const state = control((messages) => {
  for (const text of messages) for (const client of server.clients) client.send(text);
});

server.on('connection', (client) => {
  client.on('error', () => client.terminate());
  client.on('message', (data) => {
    const text = data.toString();
    if (wantsEcho(text)) {
      client.send(text);
    } else {
      JSON.parse(text);
      state.handled += 1;
    }
  });
  client.send(READY);
});
