//! `count(DISTINCT x)` beside `count(*)`: grouped by the keys and `x` first, then by the keys.
//!
//! DataFusion does the same beside `sum`, `min` and `max`; with a count it keeps a set for every group instead, which
//! took twenty times the time and the memory.

use super::parts::{has_plain_groups, is_plain, split, unaliased};
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::builder::project;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, col};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// The name of `x` between the two groupings.
const DISTINCT: &str = "distinct_value";

#[derive(Debug)]
pub struct TwoLevel;

impl OptimizerRule for TwoLevel {
    fn name(&self) -> &str {
        "distinct_and_count_in_two_levels"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Aggregate(aggregate) if has_plain_groups(aggregate) => {
                match two_levels(aggregate)? {
                    Some(better) => Ok(Transformed::yes(better)),
                    None => Ok(Transformed::no(plan)),
                }
            }
            _ => Ok(Transformed::no(plan)),
        }
    }
}

fn two_levels(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let mut distinct: Option<&Expr> = None;
    let (mut inner, mut outer) = (Vec::new(), Vec::new());
    for (place, expr) in aggregate.aggr_expr.iter().enumerate() {
        if let Some((function, argument)) = counted_distinct(expr) {
            if distinct.is_some_and(|other| other != argument) {
                return Ok(None);
            }
            distinct = Some(argument);
            let count = AggregateFunction::new_udf(
                function.func.clone(),
                vec![col(DISTINCT)],
                false,
                None,
                Vec::new(),
                None,
            );
            outer.push(Expr::AggregateFunction(count));
        } else if let Some((part, whole)) = split(expr, &format!("part_{place}")) {
            inner.push(part);
            outer.push(whole);
        } else {
            return Ok(None);
        }
    }
    let Some(distinct) = distinct else { return Ok(None) };
    let name = |place: usize| format!("group_{place}");
    let mut groups: Vec<Expr> = aggregate
        .group_expr
        .iter()
        .enumerate()
        .map(|(place, group)| group.clone().alias(name(place)))
        .collect();
    let group_count = groups.len();
    groups.push(distinct.clone().alias(DISTINCT));
    let by_both = LogicalPlan::Aggregate(Aggregate::try_new(aggregate.input.clone(), groups, inner)?);
    let groups: Vec<Expr> = (0..group_count).map(|place| col(name(place))).collect();
    let by_groups = Aggregate::try_new(Arc::new(by_both), groups.clone(), outer.clone())?;
    let named = groups.into_iter().chain(outer).enumerate().map(|(place, expr)| {
        let (qualifier, field) = aggregate.schema.qualified_field(place);
        expr.alias_qualified(qualifier.cloned(), field.name())
    });
    let named: Vec<_> = named.collect();
    Ok(Some(project(LogicalPlan::Aggregate(by_groups), named)?))
}

fn counted_distinct(expr: &Expr) -> Option<(&AggregateFunction, &Expr)> {
    let Expr::AggregateFunction(function) = unaliased(expr) else { return None };
    match function.params.args.as_slice() {
        [argument]
            if function.params.distinct && function.func.name() == "count" && is_plain(&function.params) =>
        {
            Some((function, argument))
        }
        _ => None,
    }
}
