//! A bounded queue between two threads that gives up its oldest blocks when it is full, and says
//! so.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An item of a [`Queue`].
pub trait Item {
    /// Samples that are lost if this item is given up; none if it must not be.
    fn droppable(&self) -> Option<u64>;

    /// Time that its samples span, in microseconds.
    fn span_us(&self) -> u64;
}

/// What a queue gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Popped<T> {
    /// The oldest item.
    Item(T),
    /// Nothing came while it was waited for.
    Nothing,
    /// It is closed, and nothing is left.
    End,
}

/// A queue for one producer and one consumer.
#[derive(Debug)]
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity_us: u64,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    /// Time that the items span.
    span_us: u64,
    dropped: u64,
    closed: bool,
}

impl<T: Item> State<T> {
    fn push(&mut self, item: T) {
        self.span_us += item.span_us();
        self.items.push_back(item);
    }
}

impl<T: Item> Queue<T> {
    /// An empty queue for samples of so many microseconds.
    #[must_use]
    pub fn new(capacity_us: u64) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                span_us: 0,
                dropped: 0,
                closed: false,
            }),
            changed: Condvar::new(),
            capacity_us: capacity_us.max(1),
        }
    }

    /// Adds an item. If the queue is full, the oldest that may be given up make room; the others
    /// stay. Returns whether the consumer is still there.
    pub fn push_or_drop(&self, item: T) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        while item.span_us() > 0 && state.span_us >= self.capacity_us {
            let mut items = state.items.iter();
            let oldest = items.position(|item| item.droppable().is_some());
            let Some(dropped) = oldest.and_then(|at| state.items.remove(at)) else {
                break;
            };
            state.span_us -= dropped.span_us();
            state.dropped += dropped.droppable().unwrap_or(0);
        }
        state.push(item);
        self.changed.notify_all();
        true
    }

    /// Adds an item once there is room. Returns whether it did: not if the consumer is gone.
    pub fn push_or_wait(&self, item: T) -> bool {
        let mut state = self.lock();
        while state.span_us >= self.capacity_us && !state.closed {
            state = self.wait(state);
        }
        if state.closed {
            return false;
        }
        state.push(item);
        self.changed.notify_all();
        true
    }

    /// The oldest item; waits for it, at most so long. With it comes how many samples were given up
    /// since the last call.
    pub fn pop(&self, patience: Duration) -> (Popped<T>, u64) {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        while state.items.is_empty() && !state.closed {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                break;
            };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let popped = match state.items.pop_front() {
            Some(item) => {
                state.span_us -= item.span_us();
                Popped::Item(item)
            }
            None if state.closed => Popped::End,
            None => Popped::Nothing,
        };
        self.changed.notify_all();
        (popped, std::mem::take(&mut state.dropped))
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

    const PATIENCE: Duration = Duration::from_secs(30);

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

        fn span_us(&self) -> u64 {
            u64::from(matches!(self, Self::Block(_)))
        }
    }

    #[test]
    fn the_oldest_block_goes_and_is_counted() {
        let queue = Queue::new(2);
        for thing in [16, 8, 4].map(Thing::Block) {
            assert!(queue.push_or_drop(Thing::Boot) && queue.push_or_drop(thing));
        }
        assert!(queue.push_or_drop(Thing::Block(2)));
        assert_eq!(queue.pop(PATIENCE), (Popped::Item(Thing::Boot), 24));
        assert_eq!(queue.pop(PATIENCE), (Popped::Item(Thing::Boot), 0));
        assert_eq!(queue.pop(PATIENCE), (Popped::Item(Thing::Boot), 0));
        assert_eq!(queue.pop(PATIENCE), (Popped::Item(Thing::Block(4)), 0));
        assert_eq!(queue.pop(PATIENCE), (Popped::Item(Thing::Block(2)), 0));
        let nothing = queue.pop(Duration::from_millis(1));
        assert_eq!(nothing, (Popped::Nothing, 0));
        queue.close();
        assert_eq!(queue.pop(PATIENCE), (Popped::End, 0));
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
            std::iter::from_fn(|| match queue.pop(PATIENCE) {
                (Popped::Item(Thing::Block(samples)), 0) => Some(samples),
                (Popped::End, 0) => None,
                other => panic!("{other:?}"),
            })
            .collect()
        });
        assert_eq!(received, (0..1000).collect::<Vec<_>>());
    }
}
