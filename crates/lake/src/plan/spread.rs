//! Exact `count(DISTINCT x)` by group, by sorting packed keys instead of hashing rows.
//!
//! The lake's files are sorted, so equal keys mostly follow each other and every file is one rising run: repeats are
//! dropped as they pass, and the sort only merges runs. Where the keys do not fit into the query's memory, the plan that
//! DataFusion made is run instead, which can go to disk.

use super::keys;
use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};
use futures_util::{StreamExt, TryStreamExt};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Keys that are gathered before memory is asked for: 16 bytes each, half as much again to sort them.
const STEP_KEY_COUNT: usize = 1 << 18;
const KEY_BYTES: usize = 24;
/// Rows of one batch of the answer.
const BATCH_ROW_COUNT: usize = 16 * 1024;

/// One column of the key.
#[derive(Debug, Clone)]
pub struct Part {
    pub expr: Arc<dyn PhysicalExpr>,
    pub data_type: DataType,
    /// Its place among the answer's groups; `None` for what is counted.
    pub group: Option<usize>,
}

/// What is counted by what.
#[derive(Debug, Clone)]
pub struct Work {
    pub input: Arc<dyn ExecutionPlan>,
    /// From the key's highest bits down.
    pub parts: Vec<Part>,
}

/// Counts distinct values by group.
#[derive(Debug)]
pub struct SpreadExec {
    /// The plan that this one stands for.
    instead_of: Arc<dyn ExecutionPlan>,
    work: Work,
    properties: Arc<PlanProperties>,
}

impl SpreadExec {
    pub fn new(instead_of: Arc<dyn ExecutionPlan>, work: Work) -> SpreadExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(instead_of.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        SpreadExec { instead_of, work, properties: Arc::new(properties) }
    }
}

impl DisplayAs for SpreadExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<_> = self.work.parts.iter().map(|part| part.expr.to_string()).collect();
        write!(formatter, "SpreadExec: key=[{}], instead of:", parts.join(", "))
    }
}

impl ExecutionPlan for SpreadExec {
    fn name(&self) -> &str {
        "SpreadExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.instead_of]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // Whoever changes the plan below gets that plan, which answers the same.
        match <[_; 1]>::try_from(children) {
            Ok([child]) => Ok(single(child)),
            Err(_) => internal_err!("SpreadExec has one child"),
        }
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (work, schema, instead_of) = (self.work.clone(), self.schema(), self.instead_of.clone());
        let answer_schema = schema.clone();
        let answer = async move {
            match count(&work, &answer_schema, &context).await {
                Ok(batches) => Ok(futures_util::stream::iter(batches.into_iter().map(Ok)).boxed()),
                Err(error) if is_out_of_memory(&error) => Ok(single(instead_of).execute(0, context)?.boxed()),
                Err(error) => Err(error),
            }
        };
        let stream = futures_util::stream::once(answer).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}

fn single(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    if plan.properties().partitioning.partition_count() == 1 {
        return plan;
    }
    Arc::new(CoalescePartitionsExec::new(plan))
}

fn is_out_of_memory(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

async fn count(work: &Work, schema: &SchemaRef, context: &Arc<TaskContext>) -> Result<Vec<RecordBatch>> {
    let count = work.input.properties().partitioning.partition_count();
    let mut tasks = tokio::task::JoinSet::new();
    for partition in 0..count {
        let (work, context) = (work.clone(), context.clone());
        tasks.spawn(async move { gather(&work, partition, context).await });
    }
    let mut all: Vec<u128> = Vec::new();
    let mut held = Vec::new();
    while let Some(gathered) = tasks.join_next().await {
        let (keys, reservation) = gathered.map_err(|error| DataFusionError::External(Box::new(error)))??;
        if all.is_empty() {
            all = keys;
        } else {
            reservation.try_grow(keys.len() * KEY_BYTES)?;
            all.extend(keys);
        }
        held.push(reservation);
    }
    // Sorted runs already: this merges them.
    all.sort();
    all.dedup();
    answer(work, schema, &all)
}

/// The different keys of one partition, rising.
async fn gather(
    work: &Work,
    partition: usize,
    context: Arc<TaskContext>,
) -> Result<(Vec<u128>, MemoryReservation)> {
    let reservation = MemoryConsumer::new("SpreadExec").register(context.memory_pool());
    let mut stream = work.input.execute(partition, context)?;
    let (mut keys, mut packed): (Vec<u128>, Vec<u128>) = (Vec::new(), Vec::new());
    let mut room = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        packed.clear();
        packed.resize(batch.num_rows(), 0);
        let mut shift = 0;
        for part in work.parts.iter().rev() {
            let column = part.expr.evaluate(&batch)?.into_array(batch.num_rows())?;
            keys::add(&column, shift, &mut packed)?;
            shift += keys::bits(&part.data_type).unwrap_or_default();
        }
        if keys.len() + packed.len() > room {
            room = grow(&mut keys, packed.len(), &reservation)?;
        }
        let mut last = keys.last().copied();
        for key in &packed {
            if last != Some(*key) {
                keys.push(*key);
                last = Some(*key);
            }
        }
    }
    keys.sort();
    keys.dedup();
    Ok((keys, reservation))
}

/// Makes room for more keys: by dropping repeats where that frees half, else with more memory.
fn grow(keys: &mut Vec<u128>, more: usize, reservation: &MemoryReservation) -> Result<usize> {
    let step = STEP_KEY_COUNT.max(keys.len() / 2).max(more);
    if reservation.try_grow(step * KEY_BYTES).is_ok() {
        keys.reserve_exact(step);
        return Ok(keys.capacity());
    }
    let before = keys.len();
    keys.sort();
    keys.dedup();
    if keys.len() + more > keys.capacity() || keys.len() > before / 2 {
        reservation.try_grow(step * KEY_BYTES)?;
    }
    Ok(keys.capacity())
}

/// Counts the keys by group; `keys` has no repeats.
fn answer(work: &Work, schema: &SchemaRef, keys: &[u128]) -> Result<Vec<RecordBatch>> {
    let mut shifts = Vec::new();
    let (mut shift, mut counted) = (0, 0);
    for part in work.parts.iter().rev() {
        let bits = keys::bits(&part.data_type).unwrap_or_default();
        if part.group.is_none() {
            counted = ((1u128 << bits) - 1) << shift;
        }
        shifts.push(shift);
        shift += bits;
    }
    shifts.reverse();
    let mut counts: HashMap<u128, i64, BuildHasherDefault<Mixer>> = HashMap::default();
    for key in keys {
        // Null is not counted, but its group is there.
        *counts.entry(key & !counted).or_default() += i64::from(key & counted != 0);
    }
    let groups: Vec<(u128, i64)> = counts.into_iter().collect();
    let mut batches = Vec::new();
    for rows in groups.chunks(BATCH_ROW_COUNT) {
        let keys: Vec<u128> = rows.iter().map(|(key, _)| *key).collect();
        let counts = Int64Array::from_iter_values(rows.iter().map(|(_, count)| *count));
        let mut columns = vec![None; schema.fields().len()];
        for (part, shift) in work.parts.iter().zip(&shifts) {
            if let Some(place) = part.group {
                columns[place] = Some(keys::take(&part.data_type, *shift, &keys)?);
            }
        }
        let counts: datafusion::arrow::array::ArrayRef = Arc::new(counts);
        let columns = columns.into_iter().map(|column| column.unwrap_or_else(|| counts.clone())).collect();
        batches.push(RecordBatch::try_new(schema.clone(), columns)?);
    }
    Ok(batches)
}

/// A hash for keys that are one number: multiplied and folded.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte));
        }
    }

    fn write_u128(&mut self, number: u128) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let low = (number as u64) ^ self.0;
        let high = (number >> 64) as u64;
        let product = u128::from(low ^ ODD) * u128::from(high ^ ODD.rotate_left(32));
        self.0 = (product as u64 ^ (product >> 64) as u64).wrapping_mul(ODD);
    }
}
