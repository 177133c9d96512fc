//! The one connection that publishes go through, and the fence of the node that it leads to.
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, aio::MultiplexedConnection};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::timeout};

/// One pipelined connection, made when needed; concurrent requests share it without waiting for one another.
pub(crate) struct Link {
    client: Client,
    connect_timeout: Duration,
    /// Held while connecting, so that one attempt serves all who wait.
    current: Mutex<Option<Arc<Node>>>,
}

/// A connection and who is at its other end.
pub(crate) struct Node {
    pub(crate) connection: MultiplexedConnection,
    /// The node's `run_id`: another one after a restart, and on every other node.
    pub(crate) fence: String,
}

impl Link {
    pub(crate) fn new(client: Client, connect_timeout: Duration) -> Self {
        Self { client, connect_timeout, current: Mutex::new(None) }
    }

    /// The present connection, or a new one.
    pub(crate) async fn node(&self) -> Result<Arc<Node>, RedisError> {
        let mut current = self.current.lock().await;
        if let Some(node) = &*current {
            return Ok(node.clone());
        }
        let node = Arc::new(timeout(self.connect_timeout, self.connect()).await.unwrap_or_else(|_| Err(late()))?);
        *current = Some(node.clone());
        Ok(node)
    }

    /// This connection failed: the next request makes another.
    pub(crate) async fn discard(&self, node: &Arc<Node>) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|held| Arc::ptr_eq(held, node)) {
            *current = None;
        }
    }

    /// Closes the connection.
    pub(crate) async fn close(&self) {
        *self.current.lock().await = None;
    }

    async fn connect(&self) -> Result<Node, RedisError> {
        // No response timeout of the library's (500 ms): every request has its caller's deadline.
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(self.connect_timeout)).set_response_timeout(None);
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let fence = fence(&mut connection).await?;
        Ok(Node { connection, fence })
    }
}

/// Asks a connection's other end for its `run_id`.
pub(crate) async fn fence(connection: &mut MultiplexedConnection) -> Result<String, RedisError> {
    let info: String = redis::cmd("INFO").arg("server").query_async(connection).await?;
    let line = info.lines().find_map(|line| line.strip_prefix("run_id:"));
    line.map(|id| id.trim().to_owned()).ok_or_else(|| RedisError::from((ErrorKind::Parse, "INFO names no run_id")))
}

/// No answer within the time.
pub(crate) fn late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}
