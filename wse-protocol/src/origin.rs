//! Where a message comes from whose effect the client wants to know: its producer, and its number there ([P-51]).
use crate::{Epoch, Seq};

/// What a client's message says of itself so that a repetition of it is the same message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `pid`: the producer, chosen at random by the client. 1 to 64 bytes.
    pub producer: Box<str>,
    /// `n`: from 1, ascending within the producer.
    pub number: Seq,
    /// `na`: the client has seen the outcome of every message up to this one; 0: of none.
    pub seen: Seq,
    /// `pe`: the producers' epoch under which it was sent first; none where this is the first time.
    pub epoch: Option<Epoch>,
}
