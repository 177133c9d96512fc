//! What goes on beside a fan-out: clients that stopped reading, and clients that come and go.
use super::{Target, UNDER_WAY};
use crate::{
    Result,
    pool::{Ignore, Pool},
};
use std::time::Duration;

const OPEN_TIME: Duration = Duration::from_secs(60);

/// Other clients of the server under test.
#[derive(Debug)]
pub struct Beside {
    /// They are subscribed, and their sockets are never read again.
    stalled: Option<Pool>,
    /// So many are being opened at a time, and each is ended when it is ready.
    churn: Option<(Pool, usize)>,
    /// How many have come and gone.
    pub gone: u64,
}

impl Beside {
    /// Opens those that stall.
    ///
    /// # Errors
    /// One was refused.
    pub fn begin(target: &Target, stalled: usize, under_way: usize) -> Result<Self> {
        let mut pool = None;
        if stalled > 0 {
            let mut stalling = Pool::new(target.address, target.opening.clone())?;
            stalling.narrow();
            stalling.open_to(stalled, UNDER_WAY, OPEN_TIME)?;
            pool = Some(stalling);
        }
        let churn = if under_way > 0 { Some((Pool::new(target.address, target.opening.clone())?, under_way)) } else { None };
        Ok(Self { stalled: pool, churn, gone: 0 })
    }

    /// Lets some come and go, without waiting.
    ///
    /// # Errors
    /// One was refused.
    pub fn turn(&mut self) -> Result<()> {
        let Some((pool, under_way)) = &mut self.churn else { return Ok(()) };
        while pool.under_way() < *under_way {
            pool.start()?;
        }
        pool.turn(Some(Duration::ZERO), &mut Ignore)?;
        self.gone += pool.reset_ready() as u64;
        Ok(())
    }

    /// Ends all of them.
    pub fn end(self) {
        let churn = self.churn.map(|(pool, _)| pool);
        self.stalled.into_iter().chain(churn).for_each(Pool::abandon);
    }
}
