//! A path that connections come in by: what a request's bytes are, and what of it the engine answers by itself.
use super::Stray;
use crate::{
    Engine, RequestHead, SharedHost,
    ws::{
        Field, Fields,
        handshake::{self, raw_switching},
    },
};
use bytes::Bytes;
use http::header;
use httparse::{Request, Status};
use std::mem::MaybeUninit;
use tokio::sync::mpsc;
use wse_core::session::Offer;

/// Header fields of a request that is answered here; one with more goes to the HTTP server.
const FIELDS: usize = 64;

/// Who answers at a path.
#[derive(Debug)]
pub(crate) struct Door {
    /// Names it among the doors of its engine.
    pub(crate) number: u64,
    pub(crate) engine: Engine,
    pub(crate) host: SharedHost,
    /// Without a slash at its end.
    pub(super) path: Box<str>,
    /// Bounded by the descriptors that they hold.
    pub(super) strays: mpsc::UnboundedSender<Stray>,
}

/// What the bytes of a new connection are.
#[derive(Debug)]
pub(crate) enum Judged {
    /// The front of a request.
    Partial,
    /// A WebSocket that may come in.
    Welcome {
        offer: Offer,
        /// The 101.
        response: Bytes,
        /// The request's own bytes.
        used: usize,
    },
    /// Anything else, a refusal too: the HTTP server answers it.
    Other,
}

impl Door {
    /// Judges what a new connection has sent so far.
    pub(crate) fn judge(&self, bytes: &[u8]) -> Judged {
        let mut headers = [const { MaybeUninit::uninit() }; FIELDS];
        let mut request = Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, &mut headers) {
            Ok(Status::Complete(used)) => self.admit(&request, used).unwrap_or(Judged::Other),
            Ok(Status::Partial) => Judged::Partial,
            Err(_) => Judged::Other,
        }
    }

    /// Hands a socket and what it sent to the HTTP server; closes it where that is gone.
    pub(crate) fn turn_away(&self, stray: Stray) {
        let _ = self.strays.send(stray);
    }

    fn admit(&self, request: &Request<'_, '_>, used: usize) -> Option<Judged> {
        let (path, query) = request.path.map(|target| target.split_once('?').unwrap_or((target, "")))?;
        if !self.leads_here(path) {
            return None;
        }
        let mut listed: [Field<'_>; FIELDS] = [(b"", b""); FIELDS];
        listed.iter_mut().zip(&*request.headers).for_each(|(field, header)| *field = (header.name.as_bytes(), header.value));
        let headers = Fields::from(listed.get(..request.headers.len())?);
        if headers.has(header::CONTENT_LENGTH) || headers.has(header::TRANSFER_ENCODING) {
            return None;
        }
        let key = handshake::check_head(request.method?.as_bytes(), request.version? == 1, headers).ok()?;
        let admission = self.engine.admit(RequestHead { headers, query });
        if admission.refusal.is_some() {
            return None;
        }
        let response = raw_switching(&key, admission.subprotocol).into();
        Some(Judged::Welcome { offer: admission.offer, response, used })
    }

    pub(super) fn leads_here(&self, path: &str) -> bool {
        matches!(path.strip_prefix(&*self.path), Some("" | "/"))
    }
}
