//! Messages to one user or one session, wherever their connections are.
use super::{Engine, NewMessage};
use wse_protocol::{SessionId, Topic, WireError};
use wse_pubsub::{BusError, Receipt};

/// Why a message to a user was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The caller's fault: no user has such an id, or it is too long for messages.
    #[error("{0}")]
    User(WireError),
    /// The bus's.
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl Engine {
    /// Stores a message and hands it to every connection of a user, on whatever process; one who is away gets it on return, as long as
    /// the user's log holds it. The receipt means: stored. `message` needs an event type of its own: [`NewMessage::of_type`].
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_to_user(&self, user: &str, message: NewMessage) -> Result<Receipt, SendError> {
        let topic = Topic::of_user(user).map_err(SendError::User)?;
        Ok(self.publish(&topic, message).await?)
    }

    /// The same to the connection of a session, or the one that resumes it within the grace time.
    ///
    /// # Errors
    /// [`BusError`].
    pub async fn send_to_session(&self, session: &SessionId, message: NewMessage) -> Result<Receipt, BusError> {
        self.publish(&Topic::of_session(session), message).await
    }
}

/// 128 bits from the system's generator: of a version 4 UUID 122 are random, and of two the fixed ones do not meet.
pub(super) fn secret() -> u128 {
    let [one, other] = [(); 2].map(|()| uuid::Uuid::new_v4().as_u128());
    one ^ other.rotate_left(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_a_secret_varies() {
        let (mut ones, mut zeros) = (0, 0);
        for _ in 0..200 {
            let secret = secret();
            (ones, zeros) = (ones | secret, zeros | !secret);
        }
        assert_eq!((ones, zeros), (u128::MAX, u128::MAX));
    }
}
