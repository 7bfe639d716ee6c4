//! Why something of the lake was not done.

use datafusion::error::DataFusionError;

/// What was tried; the cause is its `source`.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    #[error("{place} cannot be opened as a lake")]
    Open { place: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{path} of the lake was not {done}")]
    Store { path: String, done: &'static str, source: object_store::Error },
    #[error("{path} could not be {done}")]
    File { path: String, done: &'static str, source: std::io::Error },
    #[error("{path} is not a manifest of a lake: {why}")]
    Manifest { path: String, why: String },
    #[error("the lake was written by a newer netwhy (manifest version {found}, this one knows {known})")]
    Newer { found: u32, known: u32 },
    #[error("another process is writing to this lake")]
    Busy,
    #[error("{0} other writers committed first")]
    Contended(u32),
    #[error("the Parquet file {path} could not be read: {why}")]
    Parquet { path: String, why: String },
    #[error("the records could not be encoded")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the question was not answered")]
    Query(#[source] Box<DataFusionError>),
    #[error("the condition or query was refused: {0}")]
    Refused(String),
    #[error("the result has more than {0} rows; ask for fewer, or write it to a file")]
    TooManyRows(usize),
    #[error("stopped on request")]
    Cancelled,
    #[error(
        "the cluster's scheduler at {address} did not answer, {attempts} attempts; its state is in its memory, so ask again when it is back"
    )]
    Scheduler { address: String, attempts: u32, source: Box<dyn std::error::Error + Send + Sync> },
}

impl From<DataFusionError> for LakeError {
    fn from(error: DataFusionError) -> LakeError {
        LakeError::Query(Box::new(error))
    }
}

impl LakeError {
    /// Whether a damaged file can be why: the question was understood, and memory was not what lacked.
    pub(crate) fn may_be_damage(&self) -> bool {
        let LakeError::Query(source) = self else { return false };
        !matches!(
            source.find_root(),
            DataFusionError::SQL(..)
                | DataFusionError::Plan(_)
                | DataFusionError::SchemaError(..)
                | DataFusionError::NotImplemented(_)
                | DataFusionError::Configuration(_)
                | DataFusionError::ResourcesExhausted(_)
        )
    }
}
