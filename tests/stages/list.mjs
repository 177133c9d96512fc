// The calls of the engine's stages, each with what has to fail where it is deleted, in the form of tests/chaos/mutations. `wire` names tests of tests/wire, which run
// over sockets against the Rust service; `cargo` the arguments of a `cargo test` and the test in it; `python` tests of the Python package.
const on = (name) => `wse_protocol::mutant("${name}")`;

const LOG = 'wse-core/src/log.rs';
const WIRE = 'wse-core/src/wire.rs';
const LANES = 'wse-core/src/lanes.rs';
const INCOMING = 'wse-core/src/session/incoming.rs';
const TRACK = 'wse-pubsub/src/redis/track.rs';
const BEACONS = 'wse-server/src/hub/beacons.rs';
const LISTENER = 'wse-pubsub/src/redis/listener.rs';
const RATE = 'wse-core/src/session/rate.rs';
const HANGS_UP = [['-p', 'wse-pubsub', '--test', 'redis'], 'while_the_server_hangs_up_attempts_are_spaced_and_afterwards_it_works_again'];

const HOLES = 'test_holes.py::test_what_comes_while_a_lost_message_is_read_follows_it_without_being_read_again_as_far_as_it_is_kept';

/** A call to the Redis bus that is tried again at once. */
const unspaced = (file, name) => ({
  file: `wse-pubsub/src/redis/${file}.rs`,
  old: '            sleep(wait).await;\n',
  new: `            if !${on(name)} {\n                sleep(wait).await;\n            }\n`,
});

export const STAGES = [
  {
    name: 'sequencer',
    edits: [{ file: LOG, old: 'let seq = self.sequencer.number();', new: `let seq = if ${on('sequencer')} { self.sequencer.top() } else { self.sequencer.number() };` }],
    wire: ['test_wire.py::test_every_subscriber_gets_every_message_in_order_with_its_position'],
    cargo: [[['-p', 'wse-pubsub', '--test', 'conformance'], 'concurrent_publishers_get_one_order']],
  },
  {
    name: 'dedup-window',
    edits: [
      {
        file: 'wse-pubsub/src/memory/retry.rs',
        old: 'self.0.find(now, &Borrowed(topic, key)).cloned()',
        new: `self.0.find(now, &Borrowed(topic, key)).filter(|_| !${on('dedup-window')}).cloned()`,
      },
    ],
    wire: ['test_slow.py::test_a_message_published_twice_with_one_key_is_one'],
    cargo: [[['-p', 'wse-pubsub', '--test', 'conformance'], 'a_retry_key_stores_once']],
  },
  {
    name: 'packing',
    edits: [{ file: LOG, old: 'while left > 0 && self.pack_at()', new: `while !${on('packing')} && left > 0 && self.pack_at()` }],
    cargo: [
      [['-p', 'wse-pubsub', '--lib'], 'history_that_was_packed_is_the_same_to_the_byte'],
      [['-p', 'wse-pubsub', '--lib'], 'old_payloads_of_a_quiet_topic_are_packed_by_other_topics_calls'],
    ],
    python: ['test_stage_knobs.py::test_history_compress_after_lets_more_fit_the_history'],
  },
  {
    name: 'reorder-buffer',
    edits: [{ file: TRACK, old: 'let left = ahead.epoch != epoch\n', new: `let left = ${on('reorder-buffer')} || ahead.epoch != epoch\n` }],
    wire: [HOLES],
    cargo: [[['-p', 'wse-pubsub', '--lib'], 'a_lost_bell_is_read_and_what_was_rung_meanwhile_follows']],
  },
  {
    name: 'reorder-bounds',
    edits: [
      {
        file: TRACK,
        old: '        let room = self.room;\n',
        new: `        let unbounded = ReorderLimits { items: usize::MAX, bytes: usize::MAX, ..self.room };\n        let room = if ${on('reorder-bounds')} { unbounded } else { self.room };\n`,
      },
    ],
    wire: [HOLES],
  },
  {
    name: 'circuit-breaker',
    edits: [
      {
        file: 'wse-pubsub/src/redis/publisher.rs',
        old: '        self.guard.admit().map_err(|why| self.unavailable(&why))?;\n',
        new: `        if !${on('circuit-breaker')} {\n            self.guard.admit().map_err(|why| self.unavailable(&why))?;\n        }\n`,
      },
    ],
    cargo: [[['-p', 'wse-pubsub', '--test', 'redis'], 'after_publishes_in_a_row_without_an_answer_further_ones_fail_at_once_until_a_probe_gets_through']],
    python: ['test_stage_knobs.py::test_breaker_failures_and_breaker_cooldown'],
  },
  {
    name: 'backoff-of-listening',
    edits: [
      {
        file: LISTENER,
        old: '        sleep(backoff.next(random_share())).await;\n    }\n}',
        new: `        if !${on('backoff-of-listening')} {\n            sleep(backoff.next(random_share())).await;\n        }\n    }\n}`,
      },
    ],
    cargo: [HANGS_UP],
    python: ['test_stage_knobs.py::test_redis_backoff_base_and_redis_backoff_cap'],
  },
  {
    name: 'backoff-of-reading',
    edits: [
      {
        file: LISTENER,
        old: '                sleep(backoff.next(random_share())).await;\n',
        new: `                if !${on('backoff-of-reading')} {\n                    sleep(backoff.next(random_share())).await;\n                }\n`,
      },
    ],
    cargo: [[['-p', 'wse-pubsub', '--test', 'redis'], 'while_the_server_refuses_to_read_a_log_attempts_are_spaced_and_afterwards_what_was_missed_comes']],
  },
  {
    name: 'backoff-of-publishing',
    edits: [unspaced('publisher', 'backoff-of-publishing')],
    cargo: [HANGS_UP],
  },
  {
    name: 'backoff-of-outcomes',
    edits: [unspaced('outcomes', 'backoff-of-outcomes')],
    cargo: [[['-p', 'wse-pubsub', '--test', 'redis'], 'while_the_server_hangs_up_attempts_to_begin_a_message_are_spaced']],
  },
  {
    name: 'backoff-of-presence',
    edits: [unspaced('presence', 'backoff-of-presence')],
    cargo: [[['-p', 'wse-pubsub', '--test', 'redis'], 'while_the_server_hangs_up_attempts_to_read_who_is_present_are_spaced']],
  },
  {
    name: 'drain',
    edits: [
      {
        file: 'wse-server/src/shard/drain.rs',
        old: 'let moving = !plan.window.is_zero() && self.send_away(plan);',
        new: `let moving = !plan.window.is_zero() && !${on('drain')} && self.send_away(plan);`,
      },
    ],
    python: ['test_drain.py::test_sigterm_has_clients_move_to_another_worker_and_then_ends_this_one'],
  },
  {
    name: 'message-rate',
    edits: [
      {
        file: RATE,
        old: 'self.messages.as_mut().and_then(',
        new: `self.messages.as_mut().filter(|_| !${on('message-rate')}).and_then(`,
      },
    ],
    wire: ['test_slow.py::test_a_flood_is_held_back_and_nothing_of_it_is_lost', 'test_slow.py::test_who_never_keeps_to_the_rate_is_closed_after_a_while'],
  },
  {
    name: 'byte-rate',
    edits: [
      {
        file: RATE,
        old: 'self.bytes.as_mut().and_then(',
        new: `self.bytes.as_mut().filter(|_| !${on('byte-rate')}).and_then(`,
      },
    ],
    python: ['test_stage_knobs.py::test_bytes_per_second'],
  },
  {
    name: 'lanes-rank',
    edits: [
      {
        file: LANES,
        old: 'max_by_key(|(_, lane)| (lane.rank(), u64::MAX - lane.waits_since()))?.0;',
        new: `max_by_key(|(_, lane)| (if ${on('lanes-rank')} { Priority::Normal } else { lane.rank() }, u64::MAX - lane.waits_since()))?.0;`,
      },
    ],
    wire: ['test_slow.py::test_a_slow_client_gets_what_is_critical_first'],
  },
  {
    name: 'lanes-shed',
    edits: [{ file: LANES, old: 'if self.bytes > limit && self.only.is_none() {', new: `if !${on('lanes-shed')} && self.bytes > limit && self.only.is_none() {` }],
    wire: [
      'test_slow.py::test_of_latest_a_slow_client_gets_the_newest_of_each_key',
      'test_slow.py::test_of_drop_low_a_slow_client_loses_the_lowest_first_and_nothing_critical',
      'test_slow.py::test_of_disconnect_a_slow_client_is_told_and_closed',
    ],
  },
  {
    name: 'batcher',
    edits: [
      {
        file: WIRE,
        old: 'let variant = if expire { variant.single() } else { variant };',
        new: `let variant = if expire || ${on('batcher')} { variant.single() } else { variant };`,
      },
    ],
    wire: ['test_formats.py::test_what_comes_at_once_of_a_topic_is_one_batch_for_those_who_read_batches'],
  },
  {
    name: 'compressor',
    edits: [{ file: WIRE, old: '        if variant.compressed {\n', new: `        if variant.compressed && !${on('compressor')} {\n` }],
    wire: [
      'test_formats.py::test_a_large_frame_is_compressed_once_for_all_and_a_small_one_is_not',
      'test_formats.py::test_the_servers_own_large_frames_are_compressed_and_a_clients_are_inflated',
    ],
  },
  {
    name: 'inflater',
    edits: [
      {
        file: INCOMING,
        old: 'Tagged::Compressed(stream) if self.variant.compressed => match',
        new: `Tagged::Compressed(stream) if self.variant.compressed && !${on('inflater')} => match`,
      },
    ],
    wire: ['test_formats.py::test_a_bomb_is_not_inflated_and_ends_its_connection'],
  },
  {
    name: 'messagepack',
    edits: [
      {
        file: INCOMING,
        old: '        let decoded = match frame_body(bytes) {\n            Tagged::Msgpack(map) if self.variant.format == Format::Msgpack =>',
        new: `        let decoded = match frame_body(bytes) {\n            Tagged::Msgpack(map) if self.variant.format == Format::Msgpack && !${on('messagepack')} =>`,
      },
    ],
    wire: ['test_formats.py::test_messagepack_goes_both_ways_and_means_what_json_does'],
  },
  {
    name: 'filter',
    edits: [
      {
        file: 'wse-server/src/hub/fan_out.rs',
        old: 'passes.push(payload.as_ref().is_some_and(|payload| filter.matches_parsed(payload)));',
        new: `passes.push(${on('filter')} || payload.as_ref().is_some_and(|payload| filter.matches_parsed(payload)));`,
      },
    ],
    wire: [
      'test_filters.py::test_only_what_passes_arrives_and_says_what_was_before_it',
      'test_filters.py::test_a_forced_filter_can_be_narrowed_and_never_widened',
    ],
  },
  {
    name: 'filter-previous',
    edits: [
      {
        file: WIRE,
        old: 'if envelopes.append(out, seq, previous, publication).is_err() {',
        new: `let previous = previous.filter(|_| !${on('filter-previous')});
        if envelopes.append(out, seq, previous, publication).is_err() {`,
      },
    ],
    wire: ['test_filters.py::test_only_what_passes_arrives_and_says_what_was_before_it'],
  },
  {
    name: 'filter-limit',
    edits: [{ file: 'wse-server/src/hub/filters.rs', old: 'if most >= self.limit {', new: `if most >= self.limit && !${on('filter-limit')} {` }],
    wire: ['test_filters.py::test_a_topic_has_so_many_filters_and_one_encoding_for_each'],
  },
  {
    name: 'beacons-of-the-shard',
    edits: [
      {
        file: BEACONS,
        old: 'let is_due = |subscriber: &&mut Subscriber| subscriber.told',
        new: `let is_due = |subscriber: &&mut Subscriber| !${on('beacons-of-the-shard')} && subscriber.told`,
      },
    ],
    wire: [
      'test_filters.py::test_a_filtered_stream_that_is_quiet_is_told_where_it_stands',
      'test_filters.py::test_a_busy_stream_that_is_filtered_is_told_where_it_stands_all_the_same',
    ],
  },
  {
    name: 'beacons-of-the-heartbeat',
    edits: [{ file: BEACONS, old: 'if subscriber.told != position.seq &&', new: `if !${on('beacons-of-the-heartbeat')} && subscriber.told != position.seq &&` }],
    wire: ['test_filters.py::test_a_topic_that_moved_is_told_with_the_heartbeat', 'test_filters.py::test_a_busy_connection_has_its_heartbeat_with_word_of_the_topic_at_rest'],
  },
  {
    name: 'patterns',
    edits: [
      {
        file: 'wse-server/src/hub/mod.rs',
        old: '            BusEvent::Born { pattern,',
        new: `            BusEvent::Born { .. } if ${on('patterns')} => {}\n            BusEvent::Born { pattern,`,
      },
    ],
    wire: [
      'test_filters.py::test_a_pattern_stands_for_topics_that_are_there_and_those_that_come',
      'test_filters.py::test_patterns_and_their_topics_are_counted',
    ],
  },
  {
    name: 'births-since',
    edits: [
      {
        file: 'wse-server/src/hub/patterns.rs',
        old: 'let (outcome, newborn) = match &wanted.position {',
        new: `let (outcome, newborn) = match wanted.position.as_ref().filter(|_| !${on('births-since')}) {`,
      },
    ],
    wire: ['test_filters.py::test_births_while_a_client_was_away_are_recovered_from_the_first_message'],
  },
  {
    name: 'health-score',
    edits: [
      {
        file: 'wse-core/src/session/liveness.rs',
        old: '            self.score.handle_pong(now.saturating_duration_since(asked));\n',
        new: `            if !${on('health-score')} {\n                self.score.handle_pong(now.saturating_duration_since(asked));\n            }\n`,
      },
    ],
    wire: ['test_slow.py::test_how_well_clients_answer_is_counted'],
  },
  {
    name: 'snapshots',
    edits: [
      {
        file: 'wse-server/src/hub/catch_up.rs',
        old: '            Self::spawn_snapshot(shard, connection, topic, waiting);\n',
        new: `            if !${on('snapshots')} {\n                Self::spawn_snapshot(shard, connection, topic, waiting);\n            }\n`,
      },
    ],
    wire: [
      'test_snapshots.py::test_a_state_slower_than_a_thousand_messages_comes_before_all_of_them',
      'test_snapshots.py::test_one_call_serves_all_where_the_state_is_shared_and_one_client_where_nobody_knows_who_it_is',
      'test_snapshots.py::test_rows_pass_the_forced_filter_and_the_clients_own',
    ],
    cargo: [[['-p', 'wse-server', '--test', 'snapshots'], 'a_log_that_runs_away_three_times_is_an_error_and_each_loss_is_told']],
  },
];
