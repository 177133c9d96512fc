//! States of topics: what a client gets when it subscribes, before the topic's messages.
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;
use wse_protocol::{ErrorCode, WireError};
use wse_server::{App, Sharing, SnapshotRequest};

/// Of each topic: how often its state was asked for, and whether it may be given.
#[derive(Default)]
struct States(Mutex<HashMap<String, (u64, watch::Sender<bool>)>>);

impl States {
    fn of<T>(&self, topic: &str, change: impl FnOnce(&mut (u64, watch::Sender<bool>)) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(topic.into()).or_default())
    }

    fn called(&self, topic: &str) -> u64 {
        self.of(topic, |(calls, _)| {
            *calls += 1;
            *calls
        })
    }

    /// How often it was asked, once it is let go on.
    async fn gated(&self, topic: &str) -> Value {
        let (call, mut open) = (self.called(topic), self.of(topic, |(_, open)| open.subscribe()));
        // The sender stays as long as this does.
        let _ = open.wait_for(|open| *open).await;
        json!({"topic": topic, "call": call})
    }
}

/// Adds them.
pub(crate) fn with_states(app: App) -> Result<App, WireError> {
    let states = Arc::<States>::default();
    let (opener, own, shared, broken) = (states.clone(), states.clone(), states.clone(), states);
    app.on("open", move |message| {
        let opened = message.payload.parse::<String>().map(|topic| opener.of(&topic, |(_, open)| open.send_replace(true)));
        async { opened.map(drop) }
    })
    .snapshot("own:*", Sharing::User, move |request| gated(own.clone(), request))?
    .snapshot("shared:*", Sharing::Everyone, move |request| gated(shared.clone(), request))?
    .snapshot("rows:*", Sharing::User, |request| async move { Ok(rows(request.topic.as_str())) })?
    .snapshot("broken:*", Sharing::User, move |request| {
        let topic = request.topic.as_str();
        let (call, mut open) = (broken.called(topic), broken.of(topic, |(_, open)| open.subscribe()));
        let late = call == 2 && topic == "broken:late";
        async move {
            if late {
                let _ = open.wait_for(|open| *open).await;
            }
            if late || call == 1 {
                return Err(WireError::new(ErrorCode::Internal, "the first time it does not work"));
            }
            Ok("mended")
        }
    })
}

async fn gated(states: Arc<States>, request: SnapshotRequest) -> Result<Value, WireError> {
    Ok(states.gated(request.topic.as_str()).await)
}

fn rows(topic: &str) -> Value {
    if topic == "rows:none" {
        return Value::Null;
    }
    (0..).zip(["a", "b", "a", "b"]).map(|(n, tenant): (u64, &str)| json!({"tenant": tenant, "n": n})).collect()
}
