//! One envelope while it is being written: the same calls for both formats.
use crate::{Format, Position, Seq, Tagged, UnixMillis, WireError, defaults, transcode};
use serde::Serialize;
use std::ops::Range;

/// Why writing to a `Vec` is not handled.
const FITS: &str = "a Vec takes every write, and these values have no map keys but strings";

/// The first byte of a map of up to 15 pairs; an envelope has 13 keys at most.
const FIXMAP: u8 = 0x80;

/// Appends a JSON string. Most need no escapes, which is seen sooner than each byte is looked up.
fn json_text(out: &mut Vec<u8>, text: &str) {
    let is_plain = text.bytes().fold(true, |plain, byte| plain & (byte >= b' ') & (byte != b'"') & (byte != b'\\'));
    if !is_plain {
        return serde_json::to_writer(out, text).expect(FITS);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    format: Format,
    start: usize,
    keys: u8,
}

impl<'a> Writer<'a> {
    /// Opens the envelope and writes `v`.
    pub(crate) fn begin(out: &'a mut Vec<u8>, format: Format) -> Self {
        let start = out.len();
        if format == Format::Msgpack {
            out.extend_from_slice(Tagged::MSGPACK);
            out.push(FIXMAP);
        }
        let mut writer = Self { out, format, start, keys: 0 };
        writer.integer("v", defaults::PROTOCOL_VERSION);
        writer
    }

    /// Opens the envelope with what another one in the buffer begins with: so many keys.
    pub(crate) fn begin_as(out: &'a mut Vec<u8>, format: Format, written: Range<usize>, keys: u8) -> Self {
        let start = out.len();
        out.extend_from_within(written);
        Self { out, format, start, keys }
    }

    /// Writes what is in the buffer already: so many keys.
    pub(crate) fn repeat(&mut self, written: Range<usize>, keys: u8) {
        self.out.extend_from_within(written);
        self.keys += keys;
    }

    /// Bytes in the buffer.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        match self.format {
            Format::Json => json_text(self.out, value),
            Format::Msgpack => rmp::encode::write_str(self.out, value).expect(FITS),
        }
    }

    pub(crate) fn optional_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    pub(crate) fn integer(&mut self, key: &str, value: u64) {
        self.key(key);
        self.number(value);
    }

    /// The value of a key that was written.
    pub(crate) fn number(&mut self, value: u64) {
        match self.format {
            Format::Json => self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
            Format::Msgpack => drop(rmp::encode::write_uint(self.out, value).expect(FITS)),
        }
    }

    pub(crate) fn time(&mut self, key: &str, time: UnixMillis) {
        self.key(key);
        match self.format {
            Format::Json => {
                self.out.push(b'"');
                time.write_iso(self.out);
                self.out.push(b'"');
            }
            Format::Msgpack => {
                rmp::encode::write_str_len(self.out, UnixMillis::ISO_BYTES).expect(FITS);
                time.write_iso(self.out);
            }
        }
    }

    /// `e`, `seq` and, where there is one, `ps`.
    pub(crate) fn position(&mut self, position: &Position, previous: Option<Seq>) {
        self.text("e", position.epoch.as_str());
        self.integer("seq", position.seq.number());
        if let Some(previous) = previous {
            self.integer("ps", previous.number());
        }
    }

    /// The payload, and the end.
    pub(crate) fn payload(mut self, payload: &(impl Serialize + ?Sized)) {
        self.key("p");
        match self.format {
            Format::Json => serde_json::to_writer(&mut *self.out, payload).expect(FITS),
            Format::Msgpack => {
                payload.serialize(&mut rmp_serde::Serializer::new(&mut *self.out).with_struct_map()).expect(FITS);
            }
        }
        self.finish();
    }

    /// A payload that is written already, and the end; on an error nothing is left of the envelope.
    pub(crate) fn payload_bytes(mut self, from: Format, payload: &[u8]) -> Result<(), WireError> {
        self.key("p");
        match transcode(from, self.format, payload, self.out) {
            Ok(()) => self.finish(),
            Err(error) => {
                self.out.truncate(self.start);
                return Err(error);
            }
        }
        Ok(())
    }

    /// A payload of envelopes that are written already, and the end.
    pub(crate) fn items(mut self, envelopes: &[impl AsRef<[u8]>]) {
        self.key("p");
        match self.format {
            Format::Json => self.json_items(envelopes),
            Format::Msgpack => self.msgpack_items(envelopes),
        }
        self.finish();
    }

    fn json_items(&mut self, envelopes: &[impl AsRef<[u8]>]) {
        for (index, envelope) in envelopes.iter().enumerate() {
            self.out.push(if index == 0 { b'[' } else { b',' });
            self.out.extend_from_slice(envelope.as_ref());
        }
        self.out.extend_from_slice(if envelopes.is_empty() { b"[]" } else { b"]" });
    }

    fn msgpack_items(&mut self, envelopes: &[impl AsRef<[u8]>]) {
        let count = u32::try_from(envelopes.len()).expect("a batch has at most batch_messages envelopes");
        rmp::encode::write_array_len(self.out, count).expect(FITS);
        for envelope in envelopes {
            let body = envelope.as_ref();
            self.out.extend_from_slice(body.strip_prefix(Tagged::MSGPACK).unwrap_or(body));
        }
    }

    /// The end, without a payload.
    pub(crate) fn finish(self) {
        match self.format {
            Format::Json => self.out.push(b'}'),
            Format::Msgpack => {
                if let Some(head) = self.out.get_mut(self.start + Tagged::MSGPACK.len()) {
                    *head = FIXMAP | self.keys;
                }
            }
        }
    }

    /// A key, whose value comes next.
    pub(crate) fn key(&mut self, key: &str) {
        match self.format {
            Format::Json => {
                self.out.extend_from_slice(if self.keys == 0 { b"{\"" } else { b",\"" });
                self.out.extend_from_slice(key.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            Format::Msgpack => rmp::encode::write_str(self.out, key).expect(FITS),
        }
        self.keys += 1;
    }
}
