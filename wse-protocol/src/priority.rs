//! The five priorities of a message.
use serde::{Deserialize, Serialize};

/// How urgent a message is; orders between topics of one connection, never within one topic.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Priority {
    /// 1.
    Background,
    /// 3.
    Low,
    /// 5, the default.
    #[default]
    Normal,
    /// 8.
    High,
    /// 10.
    Critical,
}

impl Priority {
    /// Every priority, the lowest first.
    pub const ALL: [Self; 5] = [Self::Background, Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Background => 1,
            Self::Low => 3,
            Self::Normal => 5,
            Self::High => 8,
            Self::Critical => 10,
        }
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.number()
    }
}

/// Said of a number that is none of the five.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a priority is 1, 3, 5, 8 or 10")]
pub struct UnknownPriority;

impl TryFrom<u8> for Priority {
    type Error = UnknownPriority;

    fn try_from(number: u8) -> Result<Self, UnknownPriority> {
        match number {
            1 => Ok(Self::Background),
            3 => Ok(Self::Low),
            5 => Ok(Self::Normal),
            8 => Ok(Self::High),
            10 => Ok(Self::Critical),
            _ => Err(UnknownPriority),
        }
    }
}
