//! Counts and sums by words (interface, account, action, …), which Parquet keeps as numbers of a dictionary.
//!
//! DataFusion hashes the text of every row; here a row is one look into a table by its dictionary number.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use datafusion::arrow::datatypes::{Int32Type, SchemaRef, UInt64Type};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::sync::Arc;

/// Groups that are kept; more is an error, since so many words are no words.
const GROUP_COUNT_MAX: usize = 1 << 22;

/// What is computed for each group.
#[derive(Debug, Clone)]
enum Total {
    Count,
    Sum(Arc<dyn PhysicalExpr>),
}

/// The first step of a grouping by words.
#[derive(Debug)]
pub struct DenseExec {
    input: Arc<dyn ExecutionPlan>,
    groups: Vec<Arc<dyn PhysicalExpr>>,
    totals: Vec<Total>,
    properties: Arc<PlanProperties>,
}

impl DenseExec {
    /// The operator for a plan that is such a first step.
    pub fn instead_of(plan: &Arc<dyn ExecutionPlan>) -> Option<DenseExec> {
        let aggregate = plan.downcast_ref::<AggregateExec>()?;
        let groups = aggregate.group_expr();
        let is_plain = *aggregate.mode() == AggregateMode::Partial
            && groups.is_single()
            && !groups.is_empty()
            && aggregate.limit_options().is_none()
            && aggregate.filter_expr().iter().all(Option::is_none)
            && !aggregate.aggr_expr().is_empty()
            && plan.properties().output_ordering().is_none();
        if !is_plain {
            return None;
        }
        let schema = aggregate.input_schema();
        let groups = groups.input_exprs();
        let is_word = |expr: &Arc<dyn PhysicalExpr>| {
            expr.is::<Column>()
                && expr.data_type(&schema).is_ok_and(|data_type| data_type == crate::schema::word())
        };
        if !groups.iter().all(is_word) {
            return None;
        }
        let total = |function: &Arc<datafusion::physical_expr::aggregate::AggregateFunctionExpr>| {
            let expressions = function.expressions();
            let [argument] = expressions.as_slice() else { return None };
            let is_number =
                || argument.data_type(&schema).is_ok_and(|data_type| data_type.is_unsigned_integer());
            let is_wide =
                || argument.data_type(&schema).is_ok_and(|data_type| data_type.primitive_width() == Some(8));
            match function.fun().name() {
                _ if function.is_distinct() || !function.order_bys().is_empty() => None,
                "count"
                    if argument.downcast_ref::<Literal>().is_some_and(|value| !value.value().is_null()) =>
                {
                    Some(Total::Count)
                }
                "sum" if is_number() && is_wide() => Some(Total::Sum(argument.clone())),
                _ => None,
            }
        };
        let totals = aggregate.aggr_expr().iter().map(total).collect::<Option<Vec<_>>>()?;
        let properties = plan.properties().clone();
        Some(DenseExec { input: aggregate.input().clone(), groups, totals, properties })
    }
}

impl DisplayAs for DenseExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let groups: Vec<_> = self.groups.iter().map(ToString::to_string).collect();
        write!(formatter, "DenseExec: gby=[{}], {} totals", groups.join(", "), self.totals.len())
    }
}

impl ExecutionPlan for DenseExec {
    fn name(&self) -> &str {
        "DenseExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        datafusion::physical_plan::execution_plan::apply_expression_roots(&self.groups, visit)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = <[_; 1]>::try_from(children).or_else(|_| internal_err!("DenseExec has one child"))?;
        let (groups, totals) = (self.groups.clone(), self.totals.clone());
        Ok(Arc::new(DenseExec { input, groups, totals, properties: self.properties.clone() }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (groups, totals, schema) = (self.groups.clone(), self.totals.clone(), self.schema());
        let answer_schema = schema.clone();
        let answer = async move {
            let mut table = Table::new(groups, totals);
            let mut input = input;
            while let Some(batch) = input.next().await {
                table.add(&batch?)?;
            }
            table.finish(answer_schema)
        };
        let stream = futures_util::stream::once(answer);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}

/// The words of one group column and their numbers over all batches; 0 is null.
#[derive(Default)]
struct Dictionary {
    numbers: HashMap<String, u32>,
    words: Vec<String>,
    /// The last batch's own dictionary and what its numbers are here.
    last: Option<ArrayRef>,
    known: Vec<u32>,
}

impl Dictionary {
    /// Makes `known` fit a batch's dictionary.
    fn learn(&mut self, values: &ArrayRef) {
        if self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, values)) {
            return;
        }
        self.known.clear();
        for word in values.as_string::<i32>() {
            let number = word.map_or(0, |word| match self.numbers.get(word) {
                Some(number) => *number,
                None => {
                    self.words.push(word.to_owned());
                    self.numbers.insert(word.to_owned(), self.words.len() as u32);
                    self.words.len() as u32
                }
            });
            self.known.push(number);
        }
        self.last = Some(values.clone());
    }
}

/// Groups of some columns: each is a group of the columns before, and a number of the last one.
#[derive(Default)]
struct Step {
    places: HashMap<(u32, u32), u32>,
    pairs: Vec<(u32, u32)>,
}

impl Step {
    fn place(&mut self, pair: (u32, u32)) -> u32 {
        *self.places.entry(pair).or_insert_with(|| {
            self.pairs.push(pair);
            self.pairs.len() as u32 - 1
        })
    }
}

/// The groups so far.
struct Table {
    groups: Vec<Arc<dyn PhysicalExpr>>,
    totals: Vec<Total>,
    dictionaries: Vec<Dictionary>,
    /// By column: the groups of the columns up to it.
    steps: Vec<Step>,
    sums: Vec<Vec<u64>>,
    told: Vec<Vec<bool>>,
}

impl Table {
    fn new(groups: Vec<Arc<dyn PhysicalExpr>>, totals: Vec<Total>) -> Table {
        let dictionaries = groups.iter().map(|_| Dictionary::default()).collect();
        let steps = groups.iter().map(|_| Step::default()).collect();
        let (sums, told) = (vec![Vec::new(); totals.len()], vec![Vec::new(); totals.len()]);
        Table { groups, totals, dictionaries, steps, sums, told }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let places = self.places(batch)?;
        let group_count = self.group_count();
        for (total, (sums, told)) in self.totals.iter().zip(self.sums.iter_mut().zip(&mut self.told)) {
            sums.resize(group_count, 0);
            told.resize(group_count, false);
            match total {
                Total::Count => places.iter().for_each(|place| sums[*place as usize] += 1),
                Total::Sum(argument) => {
                    let values = argument.evaluate(batch)?.into_array(batch.num_rows())?;
                    let values = values.as_primitive::<UInt64Type>();
                    for (row, place) in places.iter().enumerate() {
                        if values.is_valid(row) {
                            let sum = &mut sums[*place as usize];
                            *sum = sum.wrapping_add(values.value(row));
                            told[*place as usize] = true;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Each row's group.
    fn places(&mut self, batch: &RecordBatch) -> Result<Vec<u32>> {
        let mut places: Vec<u32> = Vec::new();
        let mut numbers: Vec<Vec<u32>> = Vec::new();
        for (group, dictionary) in self.groups.iter().zip(&mut self.dictionaries) {
            let column = group.evaluate(batch)?.into_array(batch.num_rows())?;
            let column: &DictionaryArray<Int32Type> = column.as_dictionary();
            dictionary.learn(column.values());
            let known = &dictionary.known;
            let number = |key: Option<i32>| key.map_or(0, |key| known[key as usize]);
            numbers.push(column.keys().iter().map(number).collect());
        }
        for (column, (numbers, step)) in numbers.iter().zip(&mut self.steps).enumerate() {
            let (mut last, mut place) = (None, 0);
            for (row, number) in numbers.iter().enumerate() {
                let pair = (if column == 0 { 0 } else { places[row] }, *number);
                // Files are sorted by sender, so the same group comes many times in a row.
                if last != Some(pair) {
                    place = step.place(pair);
                    last = Some(pair);
                }
                match places.get_mut(row) {
                    Some(before) => *before = place,
                    None => places.push(place),
                }
            }
            if step.pairs.len() > GROUP_COUNT_MAX {
                return exec_err!("more than {GROUP_COUNT_MAX} groups of words");
            }
        }
        Ok(places)
    }

    fn group_count(&self) -> usize {
        self.steps.last().map_or(0, |step| step.pairs.len())
    }

    /// The dictionary numbers of one column for every group.
    fn numbers(&self, column: usize) -> Vec<u32> {
        let number = |place: usize| {
            let (mut before, mut number) = (place as u32, 0);
            for step in self.steps[column..].iter().rev() {
                (before, number) = step.pairs.get(before as usize).copied().unwrap_or_default();
            }
            number
        };
        (0..self.group_count()).map(number).collect()
    }

    fn finish(mut self, schema: SchemaRef) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (column, dictionary) in self.dictionaries.iter().enumerate() {
            let numbers = self.numbers(column).into_iter();
            let keys = Int32Array::from_iter(
                numbers.map(|number| number.checked_sub(1).map(|number| number as i32)),
            );
            let words = StringArray::from_iter_values(dictionary.words.iter());
            columns.push(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(words))?));
        }
        for (place, total) in self.totals.iter().enumerate() {
            let sums = std::mem::take(&mut self.sums[place]);
            columns.push(match total {
                Total::Count => {
                    Arc::new(Int64Array::from_iter_values(sums.into_iter().map(|sum| sum as i64)))
                }
                Total::Sum(_) => {
                    let told = self.told[place].iter().zip(sums);
                    Arc::new(UInt64Array::from_iter(told.map(|(told, sum)| told.then_some(sum))))
                }
            });
        }
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}
