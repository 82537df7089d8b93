//! What is known about a running machine, and waiting for more.

use super::console::Console;
use std::collections::VecDeque;
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is known about a running machine.
#[derive(Debug, Default)]
pub struct Seen {
    /// Its serial console.
    pub console: Console,
    /// When the console said something last, since power-on.
    pub last_word: Duration,
    /// How often it was reset.
    pub resets: u64,
    /// Whether the guest has the API port open.
    pub is_port_open: bool,
    /// Why it was shut down, in QEMU's words.
    pub shutdown: Option<String>,
    /// How QEMU ended.
    pub ended: Option<ExitStatus>,
    /// Whether the user wants it to end.
    pub is_interrupted: bool,
    /// What the monitor answered, oldest first; the text of an error.
    pub(crate) answers: VecDeque<Result<(), String>>,
}

/// The one place where the threads of a machine write what they see, and where everybody waits.
#[derive(Clone, Debug)]
pub struct Record {
    shared: Arc<(Mutex<Seen>, Condvar)>,
    power_on: Instant,
}

impl Record {
    /// The record of a machine that is switched on now.
    pub(crate) fn new() -> Self {
        Self { shared: Arc::default(), power_on: Instant::now() }
    }

    /// The time since power-on.
    pub fn now(&self) -> Duration {
        self.power_on.elapsed()
    }

    /// Looks at what is known.
    pub fn look<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.lock())
    }

    /// Writes down something new.
    pub fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.lock());
        self.shared.1.notify_all();
    }

    /// Waits until `question` has an answer; `None` after `limit`.
    pub fn wait<T>(&self, limit: Duration, mut question: impl FnMut(&mut Seen) -> Option<T>) -> Option<T> {
        let started = Instant::now();
        let mut seen = self.lock();
        loop {
            if let Some(answer) = question(&mut seen) {
                return Some(answer);
            }
            let left = limit.checked_sub(started.elapsed())?;
            seen = self.shared.1.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
