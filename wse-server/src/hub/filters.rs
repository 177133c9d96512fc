//! Which filters each topic has over all shards of an engine: how `filter_limit` holds for the process. Asked when a filter comes or
//! goes; no message passes here.
use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use wse_core::filter::Filter;
use wse_protocol::Topic;

/// The filters of every topic; one for all shards.
#[derive(Debug)]
pub(crate) struct Filters {
    limit: usize,
    topics: Mutex<HashMap<Topic, Vec<Known>>>,
}

/// A filter of a topic, and how many classes have it: at most one on each shard.
#[derive(Debug)]
struct Known {
    filter: Arc<Filter>,
    classes: usize,
}

/// A class's filter. The topic has it as long as some class does.
#[derive(Debug)]
pub(crate) struct HeldFilter {
    filters: Arc<Filters>,
    topic: Topic,
    filter: Arc<Filter>,
}

impl Filters {
    /// At most `limit` different filters on one topic at a time.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, topics: Mutex::default() }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Gives a topic a filter, which shares its memory with that of other shards. `leaving` is given back next, and does not count
    /// if nobody else has it. `None` where the topic has its most.
    pub(crate) fn take(self: &Arc<Self>, topic: &Topic, filter: Arc<Filter>, leaving: Option<&HeldFilter>) -> Option<HeldFilter> {
        let mut topics = self.lock();
        let known = topics.get_mut(topic);
        let filter = match known.and_then(|known| known.iter_mut().find(|known| known.filter == filter)) {
            Some(known) => {
                known.classes += 1;
                known.filter.clone()
            }
            None => {
                let goes = |known: &Known| known.classes == 1 && leaving.is_some_and(|leaving| leaving.filter == known.filter);
                let most = topics.get(topic).map_or(0, |known| known.iter().filter(|known| !goes(known)).count());
                if most >= self.limit {
                    return None;
                }
                topics.entry(topic.clone()).or_default().push(Known { filter: filter.clone(), classes: 1 });
                filter
            }
        };
        Some(HeldFilter { filters: self.clone(), topic: topic.clone(), filter })
    }

    fn give_back(&self, topic: &Topic, filter: &Filter) {
        let mut topics = self.lock();
        let Some(known) = topics.get_mut(topic) else { return };
        known.iter_mut().filter(|known| *known.filter == *filter).for_each(|known| known.classes -= 1);
        known.retain(|known| known.classes > 0);
        if known.is_empty() {
            topics.remove(topic);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Topic, Vec<Known>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldFilter {
    /// The filter, shared.
    pub(super) fn shared(&self) -> Arc<Filter> {
        self.filter.clone()
    }
}

impl Deref for HeldFilter {
    type Target = Filter;

    fn deref(&self) -> &Filter {
        &self.filter
    }
}

impl Drop for HeldFilter {
    fn drop(&mut self) {
        self.filters.give_back(&self.topic, &self.filter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(n: u8) -> Arc<Filter> {
        Arc::new(Filter::compile_json(format!(r#"{{"n":{n}}}"#).as_bytes()).expect("a filter"))
    }

    #[test]
    fn a_topic_has_so_many_filters_whoever_has_them_and_a_change_needs_no_second_place() {
        let (filters, topic) = (Arc::new(Filters::new(2)), Topic::parse("t").expect("a name"));
        let take = |n, leaving: Option<&HeldFilter>| filters.take(&topic, filter(n), leaving);
        let (one, again, two) = (take(1, None).expect("room"), take(1, None).expect("it has it"), take(2, None).expect("room"));
        assert!(take(3, None).is_none() && take(3, Some(&one)).is_none(), "another shard still has the first");
        drop(again);
        let three = take(3, Some(&one)).expect("the place of the first");
        drop(one);
        assert!(take(4, None).is_none() && filters.take(&Topic::parse("u").expect("a name"), filter(4), None).is_some());
        drop((two, three));
        assert!(filters.lock().is_empty(), "nothing is left behind");
    }
}
