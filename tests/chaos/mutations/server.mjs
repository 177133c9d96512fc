// Mutations of the server: each is one mistake that a maintainer could make, on while WSE_MUTATION names it. `edits` are of the file's text as it stands, found
// exactly once. `by` says what has to find it: seeds, or the named cases whose names match.
export const on = (name) => `wse_protocol::mutant("${name}")`;

/** Everything that the mutated sources need. */
export const GROUND = [
  {
    file: 'wse-protocol/src/lib.rs',
    append: `
/// Whether a mutation is on.
#[must_use]
pub fn mutant(name: &str) -> bool {
    static NAME: std::sync::LazyLock<Option<String>> = std::sync::LazyLock::new(|| std::env::var("WSE_MUTATION").ok());
    NAME.as_deref() == Some(name)
}

/// A script, in which a mutation puts \`new\` in the place of \`old\`.
#[must_use]
pub fn mutated(name: &str, script: &str, old: &str, new: &str) -> String {
    assert!(script.contains(old), "{name}: the script has changed");
    if mutant(name) { script.replace(old, new) } else { script.to_owned() }
}
`,
  },
];

const JOIN = 'wse-server/src/hub/join.rs';
const CATCH_UP = 'wse-server/src/hub/catch_up.rs';
const FAN_OUT = 'wse-server/src/hub/fan_out.rs';
const SNAPSHOTS = 'wse-server/src/hub/snapshots.rs';
const LANES = 'wse-core/src/lanes.rs';
const PEER = 'wse-python/python/wse_server/_peer.py';

export const SERVER = [
  {
    name: 'skip-one-replay',
    is: 'of each page of a replay one message is left out',
    edits: [
      {
        file: CATCH_UP,
        old: 'let messages = fan_out::number(&mut after.seq.clone(), &taken, passes.as_deref());',
        new: `let mut messages = fan_out::number(&mut after.seq.clone(), &taken, passes.as_deref());
        if ${on('skip-one-replay')} && messages.len() > 2 {
            messages.remove(1);
        }`,
      },
    ],
  },
  {
    name: 'replay-twice',
    is: 'what was missed is sent twice',
    edits: [
      {
        file: CATCH_UP,
        old: 'session.replay(topic, joined.policy, chunk);',
        new: `if ${on('replay-twice')} {
                session.replay(topic, joined.policy, chunk.clone());
            }
            session.replay(topic, joined.policy, chunk);`,
      },
    ],
  },
  {
    name: 'receipt-unstored',
    is: 'a publish is acknowledged, and each 16th message is not in the log',
    edits: [
      {
        file: 'wse-pubsub/src/redis/scripts.rs',
        old: 'publish: script(include_str!("publish.lua")),',
        // `open` is of the mutation epoch-reused.
        new: `publish: Script::new(&[open.clone(), wse_protocol::mutated("receipt-unstored", include_str!("publish.lua"),
                "redis.call('XADD', log,", "local _ = topic.seq % 16 == 0 or redis.call('XADD', log,")].concat()),`,
      },
    ],
  },
  {
    name: 'drop-on-full-queue',
    is: 'what does not fit into the queue of a slow client is dropped',
    edits: [
      {
        file: FAN_OUT,
        old: 'Delivered::Behind(topics) => topics,',
        new: `Delivered::Behind(topics) => if ${on('drop-on-full-queue')} { Vec::new() } else { topics },`,
      },
    ],
  },
  {
    name: 'epoch-reused',
    is: 'a log that went back goes on under its epoch',
    by: [/older copy/],
    edits: [
      {
        file: 'wse-pubsub/src/redis/scripts.rs',
        old: 'let script = |own| Script::new(&[include_str!("open.lua"), own].concat());',
        new: `let open = wse_protocol::mutated("epoch-reused", include_str!("open.lua"), "if m[1] and m[4] == fence then", "if m[1] then");
        let script = |own: &str| Script::new(&[open.as_str(), own].concat());`,
      },
    ],
  },
  {
    name: 'epoch-reused-in-memory',
    is: 'the in-process bus begins its logs under one epoch after each start',
    edits: [
      {
        file: 'wse-pubsub/src/memory/store.rs',
        old: 'let log = TopicLog::new(new_epoch_within(self.run.as_ref()), self.limits.log)',
        new: `let is_on = self.run.is_none() && ${on('epoch-reused-in-memory')};
        let epoch = if is_on { wse_protocol::Epoch::parse("always").expect("short") } else { new_epoch_within(self.run.as_ref()) };
        let log = TopicLog::new(epoch, self.limits.log)`,
      },
    ],
  },
  {
    name: 'bell-passes-hole',
    is: 'a worker takes a message that is not the next for the next',
    by: [/connections to Redis are cut/],
    edits: [
      {
        file: 'wse-pubsub/src/redis/track.rs',
        old: 'if same && room && entry.position.seq == position.seq.next() {',
        new: `if same && room && (entry.position.seq == position.seq.next() || ${on('bell-passes-hole')}) {`,
      },
      {
        file: 'wse-pubsub/src/redis/track.rs',
        old: '        self.missed = true;\n        if self.position.is_none()',
        new: `        if ${on('bell-passes-hole')} && self.position.is_some() {
            return Step::Rest;
        }
        self.missed = true;
        if self.position.is_none()`,
      },
    ],
  },
  {
    name: 'buffer-forgotten',
    is: 'what comes between a subscription and the end of its replay is forgotten',
    by: [/between its subscription and its replay/],
    edits: [
      {
        file: CATCH_UP,
        old: 'State::Behind { buffer: Some(buffer), .. } if now_at.is_some() => buffer.after(from.seq),',
        new: `State::Behind { buffer: Some(_), .. } if now_at.is_some() && ${on('buffer-forgotten')} => Some(Vec::new()),
            State::Behind { buffer: Some(buffer), .. } if now_at.is_some() => buffer.after(from.seq),`,
      },
    ],
  },
  {
    name: 'birth-from-its-top',
    is: 'a topic that is born under a pattern is joined where it stands, and not at its first message',
    edits: [
      {
        file: 'wse-server/src/hub/patterns.rs',
        old: 'let joining = Joining { topic: topic.clone(), theirs: Some(start), filter, by_pattern: true, fresh: true, away: None };',
        new: `let theirs = Some(start).filter(|_| !${on('birth-from-its-top')});
        let joining = Joining { topic: topic.clone(), theirs, filter, by_pattern: true, fresh: true, away: None };`,
      },
    ],
  },
  {
    name: 'filter-forgotten',
    is: 'a replay is not filtered',
    edits: [
      {
        file: CATCH_UP,
        old: 'let mut cost = 0;\n        let fits =',
        new: `let filter = filter.filter(|_| !${on('filter-forgotten')});\n        let mut cost = 0;\n        let fits =`,
      },
    ],
  },
  {
    name: 'previous-forgotten',
    is: 'a filtered message names the position before it, and not the message that passed before it',
    edits: [
      {
        file: FAN_OUT,
        old: 'previous: Some(std::mem::replace(previous, *seq)), publication })',
        new: `previous: Some(if ${on('previous-forgotten')} { Seq::new(seq.number() - 1).unwrap_or_default() } else { std::mem::replace(previous, *seq) }), publication })`,
      },
    ],
  },
  {
    name: 'latest-keeps-the-oldest',
    is: 'of each key the oldest message is kept',
    by: [/keeps the latest/],
    edits: [
      {
        file: LANES,
        old: '            kept.push(mark.messages == 0 || seen.insert(mark.key.clone()));\n        }\n        kept.reverse();',
        new: `            kept.push(mark.messages == 0 || seen.insert(mark.key.clone()));
        }
        if ${on('latest-keeps-the-oldest')} {
            let mut seen = std::collections::HashSet::new();
            kept = self.items.iter().flat_map(|item| item.marks().iter()).map(|mark| mark.messages == 0 || seen.insert(mark.key.clone())).collect();
            kept.reverse();
        }
        kept.reverse();`,
      },
    ],
  },
  {
    name: 'critical-dropped',
    is: 'the highest priority goes first, CRITICAL too',
    by: [/drops the low/],
    edits: [
      {
        file: LANES,
        old: 'for level in Priority::ALL.into_iter().filter(|level| *level != Priority::Critical) {',
        new: `let mut levels: Vec<_> = Priority::ALL.into_iter().filter(|level| *level != Priority::Critical).collect();
        if ${on('critical-dropped')} {
            levels = Priority::ALL.into_iter().rev().collect();
        }
        for level in levels {`,
      },
    ],
  },
  {
    name: 'skip-untold',
    is: 'a hole that a policy made is not told',
    edits: [
      {
        file: 'wse-core/src/session/outbound.rs',
        old: 'Some(Next::Hole(topic, epoch, hole)) => return Some(Waiting::Hole(topic, epoch, hole)),',
        new: `Some(Next::Hole(..)) if ${on('skip-untold')} => return self.poll(now),
            Some(Next::Hole(topic, epoch, hole)) => return Some(Waiting::Hole(topic, epoch, hole)),`,
      },
    ],
  },
  {
    name: 'skip-too-wide',
    is: 'a hole is told from the message before it, which came',
    edits: [
      {
        file: LANES,
        old: 'from: first.map_or(Seq::ZERO, |mark| mark.first),',
        new: `from: first.map_or(Seq::ZERO, |mark| {
                let before = Seq::new(mark.first.number().saturating_sub(1)).filter(|_| ${on('skip-too-wide')});
                before.unwrap_or(mark.first)
            }),`,
      },
    ],
  },
  {
    name: 'expired-too-soon',
    is: 'a message with a ttl has expired as soon as it is stored',
    edits: [
      {
        file: FAN_OUT,
        old: 'UnixMillis(since.as_millis() as u64)',
        new: `UnixMillis(since.as_millis() as u64 + if ${on('expired-too-soon')} { 10_000 } else { 0 })`,
      },
    ],
  },
  {
    name: 'resume-from-the-top',
    is: 'positions that clients return with are ignored',
    edits: [
      {
        file: 'wse-core/src/session/subscriptions.rs',
        old: 'wanted.push(Wanted { position: positions.get(&name).cloned(),',
        new: `wanted.push(Wanted { position: positions.get(&name).filter(|_| !${on('resume-from-the-top')}).cloned(),`,
      },
    ],
  },
  {
    name: 'user-from-the-top',
    is: 'positions that clients return with in what was sent to their user are ignored',
    edits: [
      {
        file: 'wse-core/src/session/direct.rs',
        old: 'position: positions.get(topic.as_str()).cloned(),',
        new: `position: positions.get(topic.as_str()).filter(|_| !${on('user-from-the-top')}).cloned(),`,
      },
    ],
  },
  {
    name: 'any-epoch-recovers',
    is: 'a position of another epoch is taken for one of this log',
    edits: [
      {
        file: 'wse-core/src/sequencer.rs',
        old: 'if position.epoch != self.epoch {',
        new: `if position.epoch != self.epoch && !${on('any-epoch-recovers')} {`,
      },
      {
        file: JOIN,
        old: 'Some(Ok(History::Entries { entries, top })) if entries.first().is_none_or(|first| first.position.epoch == theirs.epoch) => {',
        new: `Some(Ok(History::Entries { entries, top })) if entries.first().is_none_or(|first| first.position.epoch == theirs.epoch || ${on('any-epoch-recovers')}) => {`,
      },
    ],
  },
  {
    name: 'snapshot-unpinned',
    is: 'the log is not pinned while a snapshot is made',
    by: [/slower than 1,000/],
    edits: [{ file: SNAPSHOTS, old: 'subscriber.pin = Some(pin);', new: `subscriber.pin = Some(pin).filter(|_| !${on('snapshot-unpinned')});` }],
  },
  {
    name: 'snapshot-placed-late',
    is: 'a state is told to be as new as the log is when it comes',
    edits: [
      {
        file: SNAPSHOTS,
        old: 'let forced = record.policy.filter.is_some();',
        new: `let late = record.position.clone().filter(|_| ${on('snapshot-placed-late')});
        let forced = record.policy.filter.is_some();`,
      },
      {
        file: SNAPSHOTS,
        old: 'let wanted = Wanted { at: after.seq, filter,',
        new: 'let after = late.as_ref().unwrap_or(after);\n        let wanted = Wanted { at: after.seq, filter,',
      },
    ],
  },
  {
    name: 'snapshot-of-anyone',
    is: 'a call for a state is shared by all users',
    by: [/Alice's/],
    edits: [
      {
        file: 'wse-server/src/snapshot/mod.rs',
        old: '(Sharing::Everyone, _) => Whose::Everyone,',
        new: `(Sharing::Everyone, _) => Whose::Everyone,\n            (Sharing::User, _) if ${on('snapshot-of-anyone')} => Whose::Everyone,`,
      },
    ],
  },
  {
    name: 'handler-twice',
    is: 'a handler is called twice',
    edits: [
      {
        file: PEER,
        old: '                    reply = await handler.call(payload, name, reference, self.connection)\n',
        new: `                    if __import__("os").environ.get("WSE_MUTATION") == "handler-twice":
                        await handler.call(payload, name, reference, self.connection)
                    reply = await handler.call(payload, name, reference, self.connection)\n`,
      },
    ],
  },
  {
    name: 'reply-before-handling',
    is: 'a message is acknowledged before its handler has run',
    edits: [
      {
        file: PEER,
        old: '                handler = types.get(name)\n',
        new: `                handler = types.get(name)
                if __import__("os").environ.get("WSE_MUTATION") == "reply-before-handling" and handler is not None and cid is not None and "n" in (payload or {}):
                    self._engine.reply(self._number, cid, *_payload.encode(payload["n"]))
                    await asyncio.sleep(0.05)\n`,
      },
    ],
  },
  {
    name: 'handlers-overtake',
    is: 'messages of one connection are handled side by side',
    edits: [
      {
        file: PEER,
        old: '        for name, payload, reference, cid in messages:\n',
        new: `        if __import__("os").environ.get("WSE_MUTATION") == "handlers-overtake" and not isinstance(messages, list):
            for one in messages:
                asyncio.get_running_loop().call_later(__import__("random").random() / 5, lambda one=one: asyncio.ensure_future(self._messages([one])))
            return
        for name, payload, reference, cid in messages:\n`,
      },
    ],
  },
];
