//! What every verb works with.

use super::failure::{Failure, NameSnafu, RuntimeSnafu};
use crate::{Client, encode_query, transaction_name};
use host::Host;
use hyper::Method;
use snafu::ResultExt;
use wire::routes;

/// The host, its server, and how to show results.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) host: Host,
    pub(super) verbose: bool,
}

/// Runs what talks to the server.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context(RuntimeSnafu)?;
    runtime.block_on(work)
}

/// A comma-separated list for a query.
pub(super) fn list(items: &[String]) -> String {
    encode_query(&items.join(","))
}

impl Session {
    /// Fills a transaction of its own and hands it on. Whatever fails, the transaction is gone afterwards.
    pub(super) async fn in_transaction<T>(
        &self,
        verb: &str,
        work: impl AsyncFnOnce(&str) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let tx = transaction_name(verb).context(NameSnafu)?;
        let result = work(&tx).await;
        if result.is_err() {
            self.forget(&tx).await;
        }
        result
    }

    /// Deletes a transaction.
    pub(super) async fn forget(&self, tx: &str) {
        let deleted = self.client.request(Method::DELETE, &format!("{}?tx={tx}", routes::TX), None).await;
        if let Err(error) = deleted {
            // What led here is the failure to report; the server forgets idle transactions by itself.
            tracing::debug!(error = host::program::chain(&error), tx, "the transaction was not deleted");
        }
    }
}
