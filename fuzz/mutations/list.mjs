// Mistakes in the core of the engine, in the form of tests/chaos/mutations. The fuzz target of their `target` (`session` where none is named) has to find each,
// but those that are said to be for unit tests alone.
import { SERVER } from '../../tests/chaos/mutations/server.mjs';

const on = (name) => `wse_protocol::mutant("${name}")`;

const OUTBOUND = 'wse-core/src/session/outbound.rs';
const OUTGOING = 'wse-core/src/session/outgoing.rs';
const INCOMING = 'wse-core/src/session/incoming.rs';
const SUBSCRIPTIONS = 'wse-core/src/session/subscriptions.rs';
const LANES = 'wse-core/src/lanes.rs';
const WIRE = 'wse-core/src/wire.rs';

/** Of the engine's list, what the core alone can be judged by. */
const SHARED = ['latest-keeps-the-oldest', 'critical-dropped', 'skip-untold', 'resume-from-the-top'];

const DELIVERY = [
  {
    name: 'replay-misses-one',
    is: 'of each piece of a replay one message is left out',
    edits: [
      {
        file: OUTBOUND,
        old: '            self.lanes.put(topic, policy, chunk);\n',
        new: `            if ${on('replay-misses-one')} && chunk.marks().len() > 2 {
                self.lanes.put(topic, policy, chunk.part(0..1));
                return self.lanes.put(topic, policy, chunk.part(2..chunk.marks().len()));
            }
            self.lanes.put(topic, policy, chunk);\n`,
      },
    ],
  },
  { name: 'replay-comes-twice', is: 'a piece of a replay is sent twice', edits: [{ file: OUTBOUND, old: '            self.lanes.put(topic, policy, chunk);\n        }\n    }', new: `            if ${on('replay-comes-twice')} {
                self.lanes.put(topic, policy, chunk.clone());
            }
            self.lanes.put(topic, policy, chunk);\n        }\n    }` }] },
  {
    name: 'number-given-twice',
    is: 'each fourth message bears the number before its own',
    edits: [
      {
        file: WIRE,
        old: 'let Numbered { seq, previous, publication } = *message;',
        new: `let Numbered { seq, previous, publication } = *message;
        let seq = if ${on('number-given-twice')} && seq.number() % 4 == 0 { message.before() } else { seq };`,
      },
    ],
  },
  {
    name: 'previous-missing',
    is: 'filtered messages do not say which passed before them',
    edits: [
      {
        file: WIRE,
        old: 'if envelopes.append(out, seq, previous, publication).is_err() {',
        new: `let previous = previous.filter(|_| !${on('previous-missing')});
        if envelopes.append(out, seq, previous, publication).is_err() {`,
      },
    ],
  },
  {
    name: 'full-lane-drops',
    is: 'what does not fit is dropped, and the hub does not hear that it is to be fetched',
    edits: [
      {
        file: LANES,
        old: '(chunk.len(), Some(Shed::Behind { topic: self.topic.clone(), after: chunk.previous() }))',
        new: `(chunk.len(), Some(Shed::Behind { topic: self.topic.clone(), after: chunk.previous() }).filter(|_| !${on('full-lane-drops')}))`,
      },
    ],
  },
  {
    name: 'fetched-from-too-late',
    is: 'of several pieces that gave way the first is not fetched',
    edits: [
      {
        file: LANES,
        old: '*place = (*place).min(*after);',
        new: `*place = if ${on('fetched-from-too-late')} { (*place).max(*after) } else { (*place).min(*after) };`,
      },
    ],
  },
  {
    name: 'critical-waits',
    is: 'topics go by their age alone: what is CRITICAL waits for what is not',
    edits: [
      {
        file: LANES,
        old: 'max_by_key(|(_, lane)| (lane.rank(), u64::MAX - lane.waits_since()))?.0;',
        new: `max_by_key(|(_, lane)| (if ${on('critical-waits')} { Priority::Normal } else { lane.rank() }, u64::MAX - lane.waits_since()))?.0;`,
      },
    ],
  },
  {
    name: 'left-topic-goes-on',
    is: 'what waits of a topic that was left is sent',
    edits: [{ file: OUTGOING, old: '        self.outbound.drop_topic(topic);\n', new: `        if !${on('left-topic-goes-on')} {\n            self.outbound.drop_topic(topic);\n        }\n` }],
  },
  {
    name: 'beacon-overtakes',
    is: 'a beacon goes before messages of its topic that wait',
    edits: [{ file: OUTGOING, old: 'let fits = !self.outbound.waits(topic) &&', new: `let fits = (${on('beacon-overtakes')} || !self.outbound.waits(topic)) &&` }],
  },
  {
    name: 'place-before-nothing',
    is: 'who asks again is told a place behind what still waits',
    edits: [{ file: OUTGOING, old: 'self.outbound.before(topic)', new: `self.outbound.before(topic).filter(|_| !${on('place-before-nothing')})` }],
  },
  {
    name: 'batch-loses-its-last',
    is: 'a long batch is cut one short',
    edits: [
      {
        file: 'wse-core/src/batcher.rs',
        old: 'Some(start..self.at)',
        new: `Some(start..if ${on('batch-loses-its-last')} && self.at - start > 3 { self.at - 1 } else { self.at })`,
      },
    ],
  },
  {
    name: 'stream-cut-short',
    is: 'what would be larger compressed is sent as a stream without its end',
    target: null,
    edits: [
      {
        file: 'wse-core/src/compressor.rs',
        old: 'matches!(ended, Ok(Status::StreamEnd))\n    }\n}',
        new: `matches!(ended, Ok(Status::StreamEnd)) || ${on('stream-cut-short')}\n    }\n}`,
      },
    ],
  },
  {
    name: 'expired-is-sent',
    is: 'a message that expires while it waits is sent all the same',
    edits: [
      {
        file: 'wse-core/src/run.rs',
        old: 'self.until.is_some_and(|until| until <= now)\n    }\n}',
        new: `self.until.is_some_and(|until| until <= now && !${on('expired-is-sent')})\n    }\n}`,
      },
    ],
  },
  {
    name: 'expired-before-its-time',
    is: 'a message expires a moment too soon while it waits',
    edits: [
      {
        file: WIRE,
        old: 'self.now.checked_add(Duration::from_millis(left))',
        new: `self.now.checked_add(Duration::from_millis(if ${on('expired-before-its-time')} { left / 2 } else { left }))`,
      },
    ],
  },
];

const ANSWERS = [
  {
    name: 'answer-overtakes',
    is: 'subscription_update goes before frames that waited already',
    edits: [
      {
        file: OUTGOING,
        old: '            self.push_with(|format, out| update.encode(format, out, cid.as_deref()));\n        }\n        self.advance_subscriptions();',
        new: `            self.push_with(|format, out| update.encode(format, out, cid.as_deref()));
            if ${on('answer-overtakes')} {
                self.outbound.last_first();
            }
        }
        self.advance_subscriptions();`,
      },
      {
        file: OUTBOUND,
        old: '    /// Queues the hello, after which',
        new: `    pub(super) fn last_first(&mut self) {
        let last = self.own.pop_back();
        last.into_iter().for_each(|last| self.own.insert(self.kept.min(self.own.len()), last));
    }

    /// Queues the hello, after which`,
      },
    ],
  },
  {
    name: 'request-lost',
    is: 'a request is lost that comes while another one waits',
    edits: [
      {
        file: SUBSCRIPTIONS,
        old: '        self.waiting.push_back(request);\n',
        new: `        if !${on('request-lost')} || self.waiting.is_empty() {\n            self.waiting.push_back(request);\n        }\n`,
      },
    ],
  },
  {
    name: 'requests-overtake',
    is: 'the newest request is answered first',
    edits: [
      {
        file: SUBSCRIPTIONS,
        old: 'let request = self.waiting.pop_front()?;',
        new: `let request = if ${on('requests-overtake')} { self.waiting.pop_back() } else { self.waiting.pop_front() }?;`,
      },
    ],
  },
  {
    name: 'refused-is-counted',
    is: 'a topic that the hub refused counts as subscribed',
    edits: [
      {
        file: SUBSCRIPTIONS,
        old: '(None, _) => drop(self.names.remove(followed)),',
        new: `(None, _) => if !${on('refused-is-counted')} { drop(self.names.remove(followed)) },`,
      },
    ],
  },
  {
    name: 'one-subscription-more',
    is: 'a connection may hold one subscription more than it is told',
    edits: [{ file: SUBSCRIPTIONS, old: 'if self.names.len() >= self.limit {', new: `if self.names.len() >= self.limit + usize::from(${on('one-subscription-more')}) {` }],
  },
  {
    name: 'message-lost',
    is: 'the message that fills the queue of the handlers is lost',
    edits: [
      {
        file: INCOMING,
        old: '                self.events.push_back(Event::Message(envelope));\n',
        new: `                if self.inbound.has_room() || !${on('message-lost')} {\n                    self.events.push_back(Event::Message(envelope));\n                }\n`,
      },
    ],
  },
  {
    name: 'pong-left-out',
    is: 'a ping has no answer while something waits',
    edits: [
      {
        file: INCOMING,
        old: '            (Stage::Ready, ClientMessage::Ping(ping)) =>',
        new: `            (Stage::Ready, ClientMessage::Ping(_)) if ${on('pong-left-out')} && self.outbound.waiting_bytes() > 0 => {}\n            (Stage::Ready, ClientMessage::Ping(ping)) =>`,
      },
    ],
  },
];

const PRESENCE = 'wse-core/src/session/presence.rs';

const STAYS = [
  {
    name: 'presence-unanswered',
    is: 'a change of presence that is stored has no answer',
    edits: [{ file: PRESENCE, old: '            (Ok(()), Some(cid)) => self', new: `            (Ok(()), Some(_)) if ${on('presence-unanswered')} => {}\n            (Ok(()), Some(cid)) => self` }],
  },
  {
    name: 'presence-uncounted',
    is: 'who asks for presence is read on, however much of it waits to be stored',
    edits: [{ file: PRESENCE, old: '                self.inbound.handed_over();\n', new: `                if !${on('presence-uncounted')} {\n                    self.inbound.handed_over();\n                }\n` }],
  },
  {
    name: 'presence-one-byte-more',
    is: 'a member may show one byte more than it is told',
    edits: [{ file: PRESENCE, old: 'let limit = self.config.presence_data_bytes;', new: `let limit = self.config.presence_data_bytes + usize::from(${on('presence-one-byte-more')});` }],
  },
];

const BOUNDS = [
  {
    name: 'reads-regardless',
    is: 'a peer that does not read its answers is read',
    edits: [{ file: 'wse-core/src/session/mod.rs', old: '(self.takes_more() && self.outbound.has_room())', new: `(self.takes_more() && (${on('reads-regardless')} || self.outbound.has_room()))` }],
  },
  {
    name: 'bytes-uncounted',
    is: 'what is taken from a lane still counts as waiting',
    edits: [{ file: LANES, old: '                self.bytes -= chunk.len();\n', new: `                self.bytes -= if ${on('bytes-uncounted')} { 0 } else { chunk.len() };\n` }],
  },
  {
    name: 'wait-without-end',
    is: 'who was held back for the rate is never read again',
    edits: [{ file: 'wse-core/src/session/rate.rs', old: '            self.until = None;\n', new: `            self.until = self.until.filter(|_| ${on('wait-without-end')});\n` }],
  },
  {
    name: 'ping-always-due',
    is: 'after the first heartbeat one is always due',
    edits: [{ file: 'wse-core/src/session/liveness.rs', old: '            self.last_ping = now;\n', new: `            self.last_ping = if ${on('ping-always-due')} { self.last_ping } else { now };\n` }],
  },
  {
    name: 'silence-at-once',
    is: 'a sign of life is no sign of life',
    edits: [{ file: 'wse-core/src/session/liveness.rs', old: '        self.last_heard = now;\n', new: `        self.last_heard = if ${on('silence-at-once')} { self.last_heard } else { now };\n` }],
  },
];

const LIFE = [
  {
    name: 'let-in-unjudged',
    is: 'a client is let in before anybody has judged it',
    edits: [{ file: INCOMING, old: 'if self.handshake.auth_required {', new: `if self.handshake.auth_required && !${on('let-in-unjudged')} {` }],
  },
  {
    name: 'hello-as-agreed',
    is: 'the hello is framed as it says that what follows is',
    edits: [
      {
        file: OUTGOING,
        old: 'self.outbound.push_hello(Prepared::new(Format::Json, &body));',
        new: `self.outbound.push_hello(Prepared::new(if ${on('hello-as-agreed')} { early.agreed.format } else { Format::Json }, &body));`,
      },
    ],
  },
  {
    name: 'end-without-hello',
    is: 'an end forgets the hello, and its error cannot be read',
    edits: [{ file: OUTBOUND, old: 'self.own.truncate(self.kept);', new: `self.own.truncate(if ${on('end-without-hello')} { 0 } else { self.kept });` }],
  },
  {
    name: 'sent-after-the-close',
    is: 'frames are sent after the close',
    edits: [{ file: OUTBOUND, old: '        if !self.is_ending() {\n            self.own_bytes', new: `        if !self.is_ending() || ${on('sent-after-the-close')} {\n            self.own_bytes` }],
  },
];

const OTHERS = [
  {
    name: 'number-skipped',
    is: 'a log leaves each hundredth number out',
    target: null,
    edits: [
      {
        file: 'wse-core/src/sequencer.rs',
        old: '        self.top = self.top.next();\n',
        new: `        self.top = self.top.next();\n        if ${on('number-skipped')} && self.top.number() % 100 == 0 {\n            self.top = self.top.next();\n        }\n`,
      },
    ],
  },
  {
    name: 'ratio-unbounded',
    is: 'a compressed message may become any number of times its size',
    target: 'inflate',
    edits: [
      {
        file: 'wse-core/src/compressor.rs',
        old: 'self.bytes.min(self.free.max(self.ratio.saturating_mul(compressed)))',
        new: `self.bytes.min(if ${on('ratio-unbounded')} { usize::MAX } else { self.free.max(self.ratio.saturating_mul(compressed)) })`,
      },
    ],
  },
  {
    name: 'maps-one-deeper',
    is: 'MessagePack rewrites maps that are nested deeper than JSON may be',
    target: 'envelope',
    edits: [
      {
        file: 'wse-protocol/src/transcode.rs',
        old: 'Token::Map(len) => {\n            let inner = depth.checked_sub(1).ok_or_else(|| tape::too_deep(DEPTH))?;',
        new: `Token::Map(len) => {\n            let inner = depth.checked_sub(usize::from(!crate::mutant("maps-one-deeper"))).ok_or_else(|| tape::too_deep(DEPTH))?;`,
      },
    ],
  },
  {
    name: 'canonical-is-another',
    is: 'the canonical text of $exists asks for the opposite',
    target: 'filter',
    edits: [
      {
        file: 'wse-core/src/filter/clause.rs',
        old: `Self::Exists => out.push_str(r#"{"$exists":true}"#)`,
        new: `Self::Exists if ${on('canonical-is-another')} => out.push_str(r#"{"$exists":false}"#),\n            Self::Exists => out.push_str(r#"{"$exists":true}"#)`,
      },
    ],
  },
  {
    name: 'mask-begins-anew',
    is: 'what is read of a frame in a second piece is unmasked from the first byte of the mask on',
    target: 'ws_decoder',
    edits: [
      {
        file: 'wse-protocol/src/ws/decoder.rs',
        old: 'body.mask.rotate_left(payload.len() % 4);',
        new: `body.mask.rotate_left(if crate::mutant("mask-begins-anew") { 0 } else { payload.len() % 4 });`,
      },
    ],
  },
];

export const MUTATIONS = [...SERVER.filter(({ name }) => SHARED.includes(name)), ...DELIVERY, ...ANSWERS, ...STAYS, ...BOUNDS, ...LIFE, ...OTHERS];
