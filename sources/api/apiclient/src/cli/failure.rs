//! Why a verb could not be done.

use super::Exit;
use crate::{ClientError, Problem, SourceError};
use host::FileError;
use snafu::Snafu;
use std::io::ErrorKind;
use user_data::Document;
use wire::Code;

/// A verb that could not be done.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(super)))]
pub(super) enum Failure {
    #[snafu(display("{message}"))]
    Usage { message: String },
    #[snafu(transparent)]
    Client { source: ClientError },
    #[snafu(transparent)]
    Source { source: SourceError },
    #[snafu(display("write the output"))]
    Write { source: std::io::Error },
    #[snafu(display("start the runtime"))]
    Runtime { source: std::io::Error },
    #[snafu(display("make a name for the transaction"))]
    Name { source: std::io::Error },
    #[snafu(display("{uri} did not answer with JSON"))]
    NotJson { uri: String, source: serde_json::Error },
    #[snafu(display("the answer to {uri} is not an object, so it cannot be merged with others"))]
    NotObject { uri: String },
    #[snafu(display("read which variant this host is"))]
    ReadVariant { source: FileError },
    #[snafu(display("{path} does not describe a variant: {message}"))]
    BadVariant { path: &'static str, message: String },
    #[snafu(display("{message}"))]
    Refused { message: String },
    #[snafu(display("the documents are not valid"))]
    Documents { problems: Vec<Problem> },
}

impl Failure {
    /// The same failure with the places of what the server refused, where it came from documents.
    pub(super) fn in_documents(self, documents: &[Document]) -> Self {
        match self {
            Self::Client { source: ClientError::Refused { body: Some(body), .. } }
                if body.code == Code::InvalidSetting && !body.violations.is_empty() =>
            {
                Self::Documents { problems: crate::check::locate(documents, &body.violations) }
            }
            other => other,
        }
    }

    /// How the program ends because of it.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::Source { source: SourceError::StdinTwice } => Exit::Usage,
            Self::Client { source: ClientError::Refused { body: Some(body), .. } }
                if body.code == Code::InvalidSetting =>
            {
                Exit::Invalid
            }
            Self::Source { source: SourceError::Document { .. } } | Self::Documents { .. } => Exit::Invalid,
            // Whoever reads our output has seen enough of it.
            Self::Write { source } if source.kind() == ErrorKind::BrokenPipe => Exit::Done,
            _ => Exit::Failed,
        }
    }

    /// What to tell, one line for each thing that is wrong; nothing when the reader of our output has gone.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Write { source } if source.kind() == ErrorKind::BrokenPipe => Vec::new(),
            Self::Client { source: ClientError::Refused { body: Some(body), .. } }
                if !body.violations.is_empty() =>
            {
                body.violations.iter().map(ToString::to_string).collect()
            }
            Self::Documents { problems } => problems.iter().map(ToString::to_string).collect(),
            _ => vec![host::program::chain(self)],
        }
    }
}

/// A failure of the command line itself.
pub(super) fn usage(message: impl Into<String>) -> Failure {
    Failure::Usage { message: message.into() }
}
