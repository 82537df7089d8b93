//! Named transactions that collect edits until they are committed. They live in memory: a transaction that was
//! not committed is not promised to survive anything.
//!
//! A commit that fails must not lose what it was to commit. So read the edits with [`Transaction::edits`], commit
//! them, and only then [`Pending::settle`] them, which leaves alone what was written in the meantime.

use crate::{Edit, Layer};
use serde_json::Value;
use settings::Key;
use snafu::{Snafu, ensure};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The name of a transaction: 1 to 64 letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionName(String);

/// What pending transactions may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many there may be. A crowd of clients that never commit must not use up the memory of the host.
    pub transactions: usize,
    /// Edits in one of them: several times the leaves of the largest variant.
    pub edits: usize,
    /// Bytes of keys and values in one of them: as many as one request body may have, several times over.
    pub bytes: usize,
    /// Bytes of keys and values in all of them, with [`EDIT_OVERHEAD`] for each edit.
    pub total_bytes: usize,
    /// When an untouched one is dropped.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transactions: 2048,
            edits: 10_000,
            bytes: 8 << 20,
            total_bytes: 32 << 20,
            idle: Duration::from_hours(1),
        }
    }
}

/// What an edit counts towards the bytes beside its key and value: about what the maps around them take.
pub const EDIT_OVERHEAD: usize = 128;

/// A write into a transaction that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Snafu)]
#[allow(missing_docs)]
pub enum PendingError {
    #[snafu(display(
        "'{name}' is not the name of a transaction; it must be 1 to 64 letters, digits, '-', '_' and '.'"
    ))]
    BadName { name: String },
    #[snafu(display("there are {limit} open transactions already; commit or delete one"))]
    TooMany { limit: usize },
    #[snafu(display("transaction '{name}' would hold more than {limit} edits; commit or delete it"))]
    TooManyEdits { name: String, limit: usize },
    #[snafu(display("transaction '{name}' would hold more than {limit} bytes; commit or delete it"))]
    TooLarge { name: String, limit: usize },
    #[snafu(display("the open transactions would hold more than {limit} bytes; commit or delete one"))]
    Full { limit: usize },
}

impl TransactionName {
    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self, PendingError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        ensure!((1..=64).contains(&name.len()) && name.chars().all(allowed), BadNameSnafu { name });
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The edits of one transaction.
#[derive(Clone, Debug)]
pub struct Transaction {
    edits: BTreeMap<(Key, Layer), Option<Value>>,
    bytes: usize,
    touched: Instant,
}

impl Transaction {
    /// The edits, in the order of their keys.
    pub fn edits(&self) -> Vec<Edit> {
        let edit = |((key, layer), value): (&(Key, Layer), &Option<Value>)| Edit {
            layer: *layer,
            key: key.clone(),
            value: value.clone(),
        };
        self.edits.iter().map(edit).collect()
    }
}

/// All pending transactions.
#[derive(Debug, Default)]
pub struct Pending {
    limits: Limits,
    transactions: BTreeMap<TransactionName, Transaction>,
}

impl Pending {
    /// No transactions yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, transactions: BTreeMap::new() }
    }

    /// Writes edits into a transaction, making it if need be: all of them or none. An edit takes the place of an
    /// earlier one of the same leaf and layer.
    pub fn write(
        &mut self,
        name: &TransactionName,
        edits: Vec<Edit>,
        now: Instant,
    ) -> Result<(), PendingError> {
        self.expire(now);
        if edits.is_empty() {
            return Ok(());
        }
        let limits = self.limits;
        let held = self.transactions.get(name);
        ensure!(
            held.is_some() || self.transactions.len() < limits.transactions,
            TooManySnafu { limit: limits.transactions }
        );
        let written: BTreeMap<(Key, Layer), Option<Value>> =
            edits.into_iter().map(|e| ((e.key, e.layer), e.value)).collect();
        let replaced = || {
            let held = held.into_iter();
            held.flat_map(|t| written.keys().filter_map(|leaf| Some((leaf, t.edits.get(leaf)?))))
        };
        let (count, bytes) = held.map_or((0, 0), |t| (t.edits.len(), t.bytes));
        let count = count + written.len() - replaced().count();
        let freed: usize = replaced().map(size).sum();
        let added: usize = written.iter().map(size).sum();
        let name_text = name.as_str();
        ensure!(count <= limits.edits, TooManyEditsSnafu { name: name_text, limit: limits.edits });
        let total: usize = self.transactions.values().map(|t| t.bytes).sum();
        let (bytes, total) = (bytes + added - freed, total + added - freed);
        ensure!(bytes <= limits.bytes, TooLargeSnafu { name: name_text, limit: limits.bytes });
        ensure!(total <= limits.total_bytes, FullSnafu { limit: limits.total_bytes });
        let empty = || Transaction { edits: BTreeMap::new(), bytes: 0, touched: now };
        let transaction = self.transactions.entry(name.clone()).or_insert_with(empty);
        transaction.touched = now;
        transaction.bytes = bytes;
        transaction.edits.extend(written);
        Ok(())
    }

    /// Takes out of a transaction the edits that were committed, and the transaction with them if that leaves
    /// nothing. An edit that was replaced since stays.
    pub fn settle(&mut self, name: &TransactionName, committed: &[Edit]) {
        let Some(transaction) = self.transactions.get_mut(name) else { return };
        for edit in committed {
            let leaf = (edit.key.clone(), edit.layer);
            if transaction.edits.get(&leaf) == Some(&edit.value) {
                transaction.edits.remove(&leaf);
                transaction.bytes -= size((&leaf, &edit.value));
            }
        }
        if transaction.edits.is_empty() {
            self.transactions.remove(name);
        }
    }

    /// A transaction, if there is one of that name.
    pub fn get(&self, name: &TransactionName) -> Option<&Transaction> {
        self.transactions.get(name)
    }

    /// Removes a transaction and gives it back.
    pub fn take(&mut self, name: &TransactionName) -> Option<Transaction> {
        self.transactions.remove(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &TransactionName> {
        self.transactions.keys()
    }

    /// Drops transactions that were not touched for too long.
    pub fn expire(&mut self, now: Instant) {
        let idle = self.limits.idle;
        self.transactions.retain(|_, t| now.saturating_duration_since(t.touched) < idle);
    }
}

fn size(((key, _), value): (&(Key, Layer), &Option<Value>)) -> usize {
    EDIT_OVERHEAD + key.as_str().len() + value.as_ref().map_or(0, |value| value.to_string().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn name(name: &str) -> TransactionName {
        TransactionName::parse(name).unwrap()
    }

    fn edit(key: &str, value: Option<Value>) -> Edit {
        Edit { layer: Layer::Api, key: key.parse().unwrap(), value }
    }

    /// Two small edits fit, three do not.
    fn tight() -> Limits {
        let one = EDIT_OVERHEAD + "a".len() + "1".len();
        Limits { transactions: 2, edits: 3, bytes: 2 * one, total_bytes: 3 * one, ..Limits::default() }
    }

    #[test]
    fn names_of_the_original_client_are_names() {
        for good in
            ["default", "bottlerocket-launch", "apiclient-set-a1B2c3D4e5F6g7H8", "a.b_c", &"x".repeat(64)]
        {
            assert_eq!(name(good).as_str(), good);
        }
        for bad in ["", "a b", "a/b", "é", "a\n", &"x".repeat(65)] {
            assert!(TransactionName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn limits_refuse_a_write_as_a_whole() {
        let now = Instant::now();
        let check = |first: &[(&str, &str)], then: &[(&str, &str)], refused: Option<PendingError>| {
            let mut pending = Pending::new(tight());
            for (tx, key) in first {
                pending.write(&name(tx), vec![edit(key, Some(json!(1)))], now).unwrap();
            }
            let before = format!("{pending:?}");
            let edits = then.iter().map(|(_, key)| edit(key, Some(json!(2)))).collect();
            let result = pending.write(&name(then[0].0), edits, now);
            assert_eq!(result.clone().err(), refused, "{first:?} then {then:?}");
            assert_eq!(result.is_err(), format!("{pending:?}") == before, "{first:?} then {then:?}");
        };
        let (limit, tight) = (tight().transactions, tight());
        check(&[("t", "a"), ("t", "b")], &[("t", "a")], None);
        check(&[("t", "a"), ("u", "a")], &[("v", "a")], Some(PendingError::TooMany { limit }));
        let large = PendingError::TooLarge { name: "t".into(), limit: tight.bytes };
        check(&[("t", "a"), ("t", "b")], &[("t", "c")], Some(large.clone()));
        check(&[], &[("t", "a"), ("t", "b"), ("t", "c")], Some(large));
        let full = PendingError::Full { limit: tight.total_bytes };
        check(&[("t", "a"), ("t", "b"), ("u", "a")], &[("u", "b")], Some(full));
        let many = PendingError::TooManyEdits { name: "t".into(), limit: tight.edits };
        check(&[("t", "a")], &[("t", "b"), ("t", "c"), ("t", "d")], Some(many));
    }

    #[test]
    fn a_replaced_edit_gives_its_bytes_back() {
        let (now, mut pending) = (Instant::now(), Pending::new(Limits { bytes: 400, ..Limits::default() }));
        for round in 0..100 {
            let value = if round % 2 == 0 { Some(json!("x".repeat(200))) } else { None };
            pending.write(&name("t"), vec![edit("a", value)], now).unwrap();
        }
        assert_eq!(pending.get(&name("t")).unwrap().edits(), [edit("a", None)]);
        assert_eq!(pending.get(&name("t")).unwrap().bytes, EDIT_OVERHEAD + 1);
    }

    #[test]
    fn an_untouched_transaction_expires_and_a_touched_one_does_not() {
        let (start, mut pending) = (Instant::now(), Pending::new(Limits::default()));
        let idle = Limits::default().idle;
        pending.write(&name("old"), vec![edit("a", None)], start).unwrap();
        pending.write(&name("kept"), vec![edit("a", None)], start).unwrap();
        pending.write(&name("kept"), vec![edit("b", None)], start + idle / 2).unwrap();
        pending.expire(start + idle.mul_f32(0.99));
        assert_eq!(pending.names().count(), 2);
        pending.expire(start + idle);
        assert_eq!(pending.names().collect::<Vec<_>>(), [&name("kept")]);
        pending.write(&name("new"), vec![edit("a", None)], start + idle * 2).unwrap();
        assert_eq!(pending.names().collect::<Vec<_>>(), [&name("new")], "a write expires others first");
    }

    #[test]
    fn settling_leaves_what_was_written_since() {
        let (now, mut pending) = (Instant::now(), Pending::default());
        let (tx, one, two) = (name("t"), Some(json!(1)), Some(json!(2)));
        pending.write(&tx, vec![edit("a", one.clone()), edit("b", one.clone())], now).unwrap();
        let committed = pending.get(&tx).unwrap().edits();
        pending.write(&tx, vec![edit("b", two.clone()), edit("c", one.clone())], now).unwrap();
        pending.settle(&tx, &committed);
        assert_eq!(pending.get(&tx).unwrap().edits(), [edit("b", two), edit("c", one)]);
        let rest = pending.get(&tx).unwrap().edits();
        pending.settle(&tx, &rest);
        assert!(pending.get(&tx).is_none());
    }
}
