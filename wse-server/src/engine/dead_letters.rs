//! Messages whose handlers failed, as an application deals with them.
use super::Engine;
use wse_pubsub::{BusError, Claim, DeadLetter};

impl Engine {
    /// Messages whose handlers failed, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus does not answer.
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        self.0.bus.dead_letters(limit).await
    }

    /// Takes one to handle it again: for a minute nobody else can. Then remove it, or release it.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus does not answer.
    pub async fn claim_dead_letter(&self, id: &str) -> Result<Claim, BusError> {
        self.0.bus.claim_dead_letter(id).await
    }

    /// Gives a claimed one back.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus does not answer; then its claim lapses.
    pub async fn release_dead_letter(&self, id: &str) -> Result<(), BusError> {
        self.0.bus.release_dead_letter(id).await
    }

    /// Removes one; whether it was there.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus does not answer.
    pub async fn remove_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        self.0.bus.remove_dead_letter(id).await
    }
}
