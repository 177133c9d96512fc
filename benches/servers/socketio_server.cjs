// Node socket.io: emit() to all, WebSocket transport only, no compression.
'use strict';
const { Server } = require('socket.io');
const { control, port, READY } = require('./control.cjs');

const http = require('node:http').createServer();
const io = new Server(http, { transports: ['websocket'], pingInterval: 120_000, pingTimeout: 120_000 });
const state = control((messages) => {
  for (const text of messages) io.emit('m', JSON.parse(text));
});

io.on('connection', (socket) => {
  socket.on('echo', (value) => socket.emit('echo', value));
  socket.on('count', () => (state.handled += 1));
  socket.emit(READY);
});

http.listen({ host: '127.0.0.1', port, backlog: 4096 });
