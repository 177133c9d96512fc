// What a client does and sees of who is in a room, written down beside its other notes. Runs in Node and in a page.

/** Watches the room, and goes in where it is told to; `watches` says whether the list or the count is wanted, or both. */
export function attend(client, { topic, watches }, note) {
  for (const what of watches) client.presence.watch(topic, { countOnly: what === 'count' });
  // Under a name that is not watched stands the client's own stay alone.
  const own = { countOnly: !watches.includes('count') };
  let [isIn, n] = [false, 0];
  const look = () => {
    const { status, id } = client.presence.state(topic, own);
    const is = n > 0 && status === 'live';
    if (is !== isIn) note({ kind: 'in', is: (isIn = is), id });
  };
  client.onNotice('presence', look);
  const acts = {
    enter: () => client.presence.enter(topic, { n: ++n }),
    update: () => client.presence.update(topic, { n: ++n }),
    leave: () => client.presence.leave(topic),
    close: () => client.close(),
  };
  return {
    act(what) {
      note({ kind: 'stay', what, n: ['enter', 'update'].includes(what) ? n + 1 : null });
      acts[what]();
      look();
    },
    shown: () => Object.fromEntries(watches.map((what) => [what, shownOf(client.presence.state(topic, { countOnly: what === 'count' }))])),
  };
}

function shownOf({ members, count, status }) {
  return { members: members.map(({ id, user, data }) => ({ id, user, data })), count, status };
}

/** A transport that notes what comes of the room's two logs, as it comes: what a client makes of it might hide what is wrong. Of JSON without compression alone. */
export function tapped(transport, note) {
  const hear = (data) => {
    for (const envelope of typeof data === 'string' ? flat(JSON.parse(data)) : []) noteOf(envelope).forEach(note);
  };
  return {
    open: (url, protocols, events) =>
      transport.open(url, protocols, {
        onOpen: () => events.onOpen(),
        onMessage: (data) => (hear(data), events.onMessage(data)),
        onClose: (code, reason) => events.onClose(code, reason),
      }),
  };
}

function flat({ t, c, p, ...rest }) {
  return t === 'batch' && c === 'WSE' ? p : [{ t, c, p, ...rest }];
}

function noteOf({ t, c, tp, e, seq, ts, p }) {
  if (t === 'subscription_update' && c === 'WSE') {
    const own = p.topics.filter((entry) => isOfRoom(entry.tp));
    return own.map(({ tp, status, code, e: epoch, seq: place, snapshot = false }) => ({ kind: 'told', what: 'update', log: tp, status, code, epoch, seq: place, snapshot }));
  }
  if (!isOfRoom(tp) || !['presence', 'presence_count', 'snapshot'].includes(t)) return [];
  return [{ kind: 'told', what: t === 'snapshot' ? 'state' : 'change', log: tp, epoch: e, seq, ts: Date.parse(ts), p }];
}

function isOfRoom(name) {
  return name?.startsWith('@presence:') === true || name?.startsWith('@count:') === true;
}
