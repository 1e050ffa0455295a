//! A bounded queue between two threads that gives up its oldest blocks when it is full, and says
//! so.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// An item of a [`Queue`].
pub trait Item {
    /// Samples that are lost if this item is given up; none if it must not be.
    fn droppable(&self) -> Option<u64>;
}

/// A queue for one producer and one consumer.
#[derive(Debug)]
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    dropped: u64,
    closed: bool,
}

impl<T: Item> Queue<T> {
    /// An empty queue for so many items.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::with_capacity(capacity),
                dropped: 0,
                closed: false,
            }),
            changed: Condvar::new(),
            capacity: capacity.max(1),
        }
    }

    /// Adds an item. If the queue is full, the oldest that may be given up makes room; if there is
    /// none, the queue grows. Returns whether the consumer is still there.
    pub fn push_or_drop(&self, item: T) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        if state.items.len() >= self.capacity {
            let oldest = state
                .items
                .iter()
                .position(|item| item.droppable().is_some());
            if let Some(dropped) = oldest.and_then(|at| state.items.remove(at)) {
                state.dropped += dropped.droppable().unwrap_or(0);
            }
        }
        state.items.push_back(item);
        self.changed.notify_all();
        true
    }

    /// Adds an item once there is room. Returns whether it did: not if the consumer is gone.
    pub fn push_or_wait(&self, item: T) -> bool {
        let mut state = self.lock();
        while state.items.len() >= self.capacity && !state.closed {
            state = self.wait(state);
        }
        if state.closed {
            return false;
        }
        state.items.push_back(item);
        self.changed.notify_all();
        true
    }

    /// The oldest item; waits for it, and gives none once the queue is closed and empty. With it
    /// comes how many samples were given up since the last call.
    pub fn pop(&self) -> (Option<T>, u64) {
        let mut state = self.lock();
        while state.items.is_empty() && !state.closed {
            state = self.wait(state);
        }
        let item = state.items.pop_front();
        self.changed.notify_all();
        (item, std::mem::take(&mut state.dropped))
    }

    /// Ends the queue: what is in it can still be taken, and nobody waits any more.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // A panic elsewhere leaves the queue whole: every change is one push or pop.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        let waited = self.changed.wait_timeout(state, Duration::from_secs(1));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Thing {
        Block(u64),
        Boot,
    }

    impl Item for Thing {
        fn droppable(&self) -> Option<u64> {
            match self {
                Self::Block(samples) => Some(*samples),
                Self::Boot => None,
            }
        }
    }

    #[test]
    fn the_oldest_block_goes_and_is_counted() {
        let queue = Queue::new(2);
        for thing in [Thing::Boot, Thing::Block(16), Thing::Block(8), Thing::Boot] {
            assert!(queue.push_or_drop(thing));
        }
        assert_eq!(queue.pop(), (Some(Thing::Boot), 24));
        assert_eq!(queue.pop(), (Some(Thing::Boot), 0));
        queue.close();
        assert_eq!(queue.pop(), (None, 0));
        assert!(!queue.push_or_wait(Thing::Boot) && !queue.push_or_drop(Thing::Boot));
    }

    #[test]
    fn a_producer_that_waits_loses_nothing() {
        let queue = Queue::new(3);
        let received: Vec<u64> = std::thread::scope(|scope| {
            scope.spawn(|| {
                for samples in 0..1000 {
                    assert!(queue.push_or_wait(Thing::Block(samples)));
                }
                queue.close();
            });
            std::iter::from_fn(|| match queue.pop() {
                (Some(Thing::Block(samples)), 0) => Some(samples),
                (None, 0) => None,
                other => panic!("{other:?}"),
            })
            .collect()
        });
        assert_eq!(received, (0..1000).collect::<Vec<_>>());
    }
}
