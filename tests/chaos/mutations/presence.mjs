// Mutations of presence, on both sides, as those of the server in server.mjs.
import { on as inClient } from './client.mjs';
import { on } from './server.mjs';

const REGISTRY = 'wse-core/src/presence.rs';
const REDIS = 'wse-pubsub/src/redis/presence.rs';
const STAYS = 'wse-client-ts/src/core/stays.ts';

/** Mutations of one of Redis' scripts, each `name: [old, new]` of its text: one edit for all of them. */
function script(file, mutations) {
  const whole = `include_str!("${file}")`;
  const mutated = Object.entries(mutations).reduce((text, [name, [old, anew]]) => `wse_protocol::mutated("${name}", &${text}, r#"${old}"#, r#"${anew}"#)`, whole);
  return [{ file: REDIS, old: `script(${whole})`, new: `script(&${mutated})` }];
}

export const OF_PRESENCE = [
  {
    name: 'leave-twice',
    is: 'that a member has left is told twice',
    edits: [
      {
        file: REDIS,
        old: 'let script = |own| Script::new(&[include_str!("open.lua"), include_str!("presence.lua"), own].concat());',
        new: `let gone = r#"told.gone[#told.gone + 1] = '"' .. member .. '"'"#;
        let members = wse_protocol::mutated("leave-twice", include_str!("presence.lua"), gone, &format!("{gone}; {gone}"));
        let script = |own: &str| Script::new(&[include_str!("open.lua"), members.as_str(), own].concat());`,
      },
    ],
  },
  {
    name: 'lapse-untold',
    is: 'members of a worker that died are removed, and nobody is told',
    by: [/a worker is killed with a member/],
    edits: script('reap.lua', {
      'lapse-untold': ['append_told(9)', ''],
      'reaped-elsewhere': ['tell(member, put(member, 0, false))', "put(member, 0, false) tell(member, '', nil)"],
      'reaped-again': ['made = made + 1', "redis.call('SADD', by, member) tell(member, '', nil)"],
    }),
  },
  {
    name: 'reaped-elsewhere',
    is: 'a member of a worker that died is told to have left, though another worker has it too',
    edits: [], // with lapse-untold
  },
  {
    name: 'reaped-again',
    is: 'what a worker that died held is not forgotten: each worker that looks removes it, and tells it, once more',
    by: [/a worker is killed with a member/],
    edits: [], // with lapse-untold
  },
  {
    name: 'count-always-told',
    is: 'the number of members is told where it has not changed',
    edits: script('change.lua', { 'count-always-told': ['append_told(11)', 'told.before = -1 append_told(11)'] }),
  },
  {
    name: 'state-too-new',
    is: 'the state of a room is told to be newer than it is',
    edits: script('present.lua', { 'state-too-new': ['topic.seq, told.before', 'topic.seq + 1, told.before'] }),
  },
  {
    name: 'lapsed-goes-on',
    is: 'a worker whose lease was over goes on as if others had not been told that its members left',
    by: [/stands still for longer than its lease/],
    edits: script('renew.lua', { 'lapsed-goes-on': ["redis.call('ZSCORE', leases, incarnation)", 'true'] }),
  },
  {
    name: 'grace-skipped',
    is: 'who loses the connection has left at once',
    edits: [{ file: REGISTRY, old: 'if for_good || self.config.grace.is_zero() {', new: `if for_good || self.config.grace.is_zero() || ${on('grace-skipped')} {` }],
  },
  {
    name: 'grace-without-end',
    is: 'who loses the connection is there for good',
    edits: [{ file: REGISTRY, old: '            self.lost.pop_front();\n            self.end(connection);', new: `            self.lost.pop_front();\n            if !${on('grace-without-end')} {\n                self.end(connection);\n            }` }],
  },
  {
    name: 'gone-with-one-connection',
    is: 'a member has left when one of its connections has',
    edits: [
      {
        file: 'wse-core/src/presence/member.rs',
        old: 'self.holds.retain(|held| held.connection != connection);',
        new: `self.holds.retain(|held| held.connection != connection && !${on('gone-with-one-connection')});`,
      },
    ],
  },
  {
    name: 'not-entered-anew',
    is: 'a worker that begins a new lease takes what it stored under the earlier one for stored',
    by: [/stands still for longer than its lease/],
    edits: [
      {
        file: 'wse-core/src/presence/member.rs',
        old: 'self.told = Told::No;\n        !self.holds.is_empty()',
        new: `if !${on('not-entered-anew')} {\n            self.told = Told::No;\n        }\n        !self.holds.is_empty()`,
      },
    ],
  },
  {
    name: 'not-entered-again',
    is: 'a client that returns does not enter again',
    edits: [{ file: STAYS, old: '    this.told = this.due = null;\n    this.retryAt = Infinity;', new: `    this.due = null;\n    if (!${inClient('not-entered-again')}) this.told = null;\n    this.retryAt = Infinity;` }],
  },
  {
    name: 'roster-merged',
    is: 'a state that comes after changes were lost is added to what was known, and does not replace it',
    by: [/in-process bus is killed while a member goes/],
    edits: [
      {
        file: 'wse-client-ts/src/core/roster.ts',
        old: 'const stayed = [...this.#members.keys()].filter((id) => next.has(id));',
        new: `if (${inClient('roster-merged')}) for (const [id, member] of this.#members) if (!next.has(id)) next.set(id, member);
    const stayed = [...this.#members.keys()].filter((id) => next.has(id));`,
      },
    ],
  },
];
