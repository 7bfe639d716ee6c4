//! Finds what our own operators do better in a finished plan and puts them there.

use crate::plan::dense::DenseExec;
use crate::plan::keys;
use crate::plan::spread::{Part, SpreadExec, Work};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use std::sync::Arc;

/// The widest key, in bits.
const KEY_BITS_MAX: u32 = 128;

#[derive(Debug)]
pub struct UseOwn;

impl PhysicalOptimizerRule for UseOwn {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_down(|plan| {
            if let Some(work) = work(&plan) {
                // Its child is the plan it stands for, which must stay.
                return Ok(Transformed::new(spread(plan, work)?, true, TreeNodeRecursion::Jump));
            }
            match DenseExec::instead_of(&plan) {
                Some(dense) => Ok(Transformed::yes(Arc::new(dense))),
                None => Ok(Transformed::no(plan)),
            }
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "our_own_operators"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Puts the operator in, with its answer dealt out and sorted as whoever reads it expects.
fn spread(plan: Arc<dyn ExecutionPlan>, work: Work) -> Result<Arc<dyn ExecutionPlan>> {
    let partitioning = plan.properties().partitioning.clone();
    let ordering = plan.properties().output_ordering().cloned();
    let mut own: Arc<dyn ExecutionPlan> = Arc::new(SpreadExec::new(plan, work));
    if partitioning.partition_count() > 1 {
        own = Arc::new(RepartitionExec::try_new(own, partitioning)?);
    }
    // Where each partition is one sorted file, DataFusion's own plan keeps that order and may count on it.
    Ok(match ordering {
        Some(ordering) => Arc::new(SortExec::new(ordering, own).with_preserve_partitioning(true)),
        None => own,
    })
}

/// What the plan counts, where it is the counting of values that an aggregate below made distinct.
fn work(plan: &Arc<dyn ExecutionPlan>) -> Option<Work> {
    let counting = first_step(plan)?;
    let [count] = counting.aggr_expr() else { return None };
    if count.fun().name() != "count"
        || count.is_distinct()
        || counting.filter_expr().iter().any(Option::is_some)
    {
        return None;
    }
    let mut groups = groups(counting)?;
    match count.expressions().as_slice() {
        [counted] => groups.push(counted.clone()),
        _ => return None,
    }
    let distinct = below(counting.input());
    let distinct_first = first_step(distinct)?;
    if !distinct_first.aggr_expr().is_empty() || distinct_first.limit_options().is_some() {
        return None;
    }
    let sources = self::groups(distinct_first)?;
    if sources.len() != groups.len() {
        return None;
    }
    let schema = distinct_first.input_schema();
    let last = groups.len() - 1;
    let mut parts = Vec::new();
    for (place, group) in groups.iter().enumerate() {
        let index = group.downcast_ref::<Column>()?.index();
        let expr = sources.get(index)?.clone();
        let data_type = expr.data_type(&schema).ok()?;
        parts.push(Part { expr, data_type, group: (place < last).then_some(place) });
    }
    let width: Option<u32> = parts.iter().map(|part| keys::bits(&part.data_type)).sum();
    if width? > KEY_BITS_MAX {
        return None;
    }
    // Sender and receiver first, as the files are sorted: each file is then one rising run.
    parts.sort_by_key(|part| (keys::bits(&part.data_type) != Some(33), keys::bits(&part.data_type)));
    Some(Work { input: distinct_first.input().clone(), parts })
}

/// The aggregate that sees the rows: this one, or the partial one below a final one.
fn first_step(plan: &Arc<dyn ExecutionPlan>) -> Option<&AggregateExec> {
    let aggregate = plan.downcast_ref::<AggregateExec>()?;
    match aggregate.mode() {
        AggregateMode::Single | AggregateMode::SinglePartitioned => Some(aggregate),
        AggregateMode::Final | AggregateMode::FinalPartitioned => {
            let partial = below(aggregate.input()).downcast_ref::<AggregateExec>()?;
            (*partial.mode() == AggregateMode::Partial).then_some(partial)
        }
        _ => None,
    }
}

/// Looks through what only moves rows between partitions.
fn below(plan: &Arc<dyn ExecutionPlan>) -> &Arc<dyn ExecutionPlan> {
    if let Some(moved) = plan.downcast_ref::<RepartitionExec>() {
        return below(moved.input());
    }
    if let Some(moved) = plan.downcast_ref::<CoalescePartitionsExec>() {
        return below(moved.input());
    }
    // A projection that changes neither the order nor the number of columns only renames.
    if let Some(renamed) = plan.downcast_ref::<ProjectionExec>() {
        let same = renamed.expr().iter().enumerate().all(|(place, named)| {
            named.expr.downcast_ref::<Column>().is_some_and(|column| column.index() == place)
        });
        if same && renamed.expr().len() == renamed.input().schema().fields().len() {
            return below(renamed.input());
        }
    }
    plan
}

/// The plain group expressions; none where there are grouping sets.
fn groups(aggregate: &AggregateExec) -> Option<Vec<Arc<dyn PhysicalExpr>>> {
    let groups = aggregate.group_expr();
    groups.is_single().then(|| groups.input_exprs())
}
