//! Files of flow records as a table, read as they are: only the asked columns, of the rows that simple conditions leave.

use crate::condition;
use crate::encode::{Words, is_wide};
use crate::error::LakeError;
use crate::feed::{Fed, Feeder};
use crate::lake::{Cancel, LakeOptions};
use crate::rows::Torn;
use crate::schema::{asked, is_address};
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use netwhy_flows::read::{Records, Wanted};
use netwhy_flows::{Flow, Names, UnreadCount};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Batches that wait between reading and the query.
const WAITING_COUNT: usize = 4;

/// The table of some files.
#[derive(Debug)]
pub struct TextTable {
    files: Arc<[PathBuf]>,
    schema: SchemaRef,
    wide: bool,
    workers: usize,
    cancel: Cancel,
    told: Told,
}

/// What reading the files has told, by their place among the asked ones.
pub type Told = Arc<Mutex<BTreeMap<usize, (PathBuf, Fed)>>>;

/// All files together: what was not understood, and what ended early.
pub fn summed(told: &Told) -> (UnreadCount, Vec<Torn>) {
    let mut told = told.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut sum = (UnreadCount::default(), Vec::new());
    for (path, fed) in std::mem::take(&mut *told).into_values() {
        sum.0.append(fed.count);
        sum.1.extend(fed.torn.map(|why| Torn { file: path.display().to_string(), why }));
    }
    sum
}

/// An IPv6 address came up in a table whose addresses are 32-bit numbers; asked again as a wide table, it is there.
#[derive(Debug, thiserror::Error)]
#[error("the files have IPv6 addresses")]
pub struct NeedsWide;

impl NeedsWide {
    /// Whether this is why a query failed.
    pub fn is_why(error: &LakeError) -> bool {
        let LakeError::Query(error) = error else { return false };
        matches!(error.find_root(), DataFusionError::External(why) if why.is::<NeedsWide>())
    }
}

impl TextTable {
    /// With `wide`, addresses are of 16 bytes.
    pub fn new(files: Vec<PathBuf>, wide: bool, options: &LakeOptions) -> TextTable {
        let (workers, cancel) = (options.workers, options.cancel.clone());
        TextTable { files: files.into(), schema: asked(wide), wide, workers, cancel, told: Told::default() }
    }

    /// Where it is told what could not be read.
    pub fn told(&self) -> Told {
        self.told.clone()
    }
}

#[async_trait]
impl TableProvider for TextTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Some readers give every record, so the query looks again.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let kind = |filter: &&Expr| match condition::is_told(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(kind).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projected = match projection {
            Some(places) => Arc::new(self.schema.project(places)?),
            None => self.schema.clone(),
        };
        let part = Part {
            files: self.files.clone(),
            schema: projected.clone(),
            records: condition::records(filters),
            narrow: !self.wide && projected.fields().iter().any(|field| is_address(field)),
            workers: self.workers,
            cancel: self.cancel.clone(),
            told: self.told.clone(),
            limit: limit.unwrap_or(usize::MAX),
        };
        let exec = StreamingTableExec::try_new(projected, vec![Arc::new(part)], None, [], false, limit)?;
        Ok(Arc::new(exec))
    }
}

/// One reading of the files; its parallel workers are the reader's own.
#[derive(Debug, Clone)]
struct Part {
    files: Arc<[PathBuf]>,
    schema: SchemaRef,
    /// Those that the query's conditions leave; more may be given.
    records: Records,
    /// Whether an IPv6 address has no place in it.
    narrow: bool,
    workers: usize,
    cancel: Cancel,
    told: Told,
    limit: usize,
}

impl Part {
    /// A query may read a file more than once, and not always to its end: the fullest reading counts.
    fn tell(&self, place: usize, path: &Path, fed: Fed) {
        let seen = |fed: &Fed| fed.count.read + fed.count.unread;
        let mut told = self.told.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if told.get(&place).is_none_or(|(_, known)| seen(known) < seen(&fed)) {
            told.insert(place, (path.to_owned(), fed));
        }
    }

    fn batch(&self, flows: &[Flow], names: &Names) -> Result<RecordBatch> {
        if self.narrow && flows.iter().any(is_wide) {
            return Err(DataFusionError::External(Box::new(NeedsWide)));
        }
        Ok(Words::new(names).batch(flows, &self.schema)?)
    }
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let names = self.schema.fields().iter().map(|field| field.name().as_str());
        let wanted = match Wanted::named(names) {
            Ok(wanted) => wanted,
            Err(_) => Wanted::ALL,
        };
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), WAITING_COUNT);
        let wanted = wanted.of(self.records);
        let (sender, part) = (builder.tx(), self.clone());
        builder.spawn_blocking(move || {
            let names = Arc::new(Names::default());
            let feeder = Feeder { names: names.clone(), workers: part.workers, wanted, hashed: false };
            let mut given = 0;
            for (place, file) in part.files.iter().enumerate() {
                let done =
                    |given: usize| given >= part.limit || part.cancel.is_cancelled() || sender.is_closed();
                let mut failed = None;
                // The columns are made by the reader's workers. It cannot be stopped in a file; what nobody waits for
                // is dropped.
                let fed = feeder.map(
                    file,
                    |flows| part.batch(flows, &names),
                    |batch| match batch {
                        _ if failed.is_some() || done(given) => {}
                        Ok(batch) => {
                            let batch = batch.slice(0, batch.num_rows().min(part.limit - given));
                            given += batch.num_rows();
                            // Nobody waits for more where the query had enough.
                            let _ = sender.blocking_send(Ok(batch));
                        }
                        Err(error) => failed = Some(error),
                    },
                );
                if let Some(error) = failed {
                    return Err(error);
                }
                let fed = fed.map_err(|error| DataFusionError::External(Box::new(error)))?;
                part.tell(place, file, fed);
                if done(given) {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}
